"""Encoder of MediaPipe's hand-landmark network with its pretrained weights."""

import torch
from support.mediapipe_inputs import analytic_image
from torch.testing import assert_close

from lgnet_core.network.backbones.factory import load_pretrained
from lgnet_core.network.backbones.hand_landmark_encoder import HandLandmarkEncoder
from lgnet_core.synthetic.generator import SyntheticHands


def test_features_agree_with_litert():
    """Reference values: output of tools/builders/read_mediapipe.py for the analytic image."""
    network = HandLandmarkEncoder()
    load_pretrained(network)
    with torch.no_grad():
        features = network.eval()(analytic_image(224))[1].mean((-2, -1))[0, ::64]
    litert = [5.1942, 0, 2.6926, 3.0403, 0.3436, 0, 2.6367, 0, 4.7052, 0, 0, 0, 0, 0, 1.8767, 0, 3.8589, 0]
    assert_close(features, torch.tensor(litert), atol=1e-4, rtol=0)


def test_norm_statistics_match_batch_statistics(hand_model):
    """Training mode, with batch statistics, gives similar features: the encoder can be fine-tuned."""
    network = HandLandmarkEncoder()
    load_pretrained(network)
    image = SyntheticHands(8, hand_model).crops(torch.arange(16), 160).image / 255
    with torch.no_grad():
        trained, fixed = (network.train(mode)(image)[1].mean((-2, -1)).flatten() for mode in (True, False))
    assert torch.corrcoef(torch.stack([trained, fixed]))[0, 1] > 0.9
