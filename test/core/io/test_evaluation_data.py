"""Files that the default wheel leaves out are found in a checkout, and a missing one is explained."""

from __future__ import annotations

import pytest

from lgnet_core.evaluation import baselines
from lgnet_core.evaluation.baselines import RandomHands
from lgnet_core.io import checkpoint_files
from lgnet_core.io.evaluation_data import locate_evaluation_data
from lgnet_core.network import pretrained
from lgnet_core.network.detector.hand_landmark import load_hand_landmark_net
from lgnet_core.network.detector.palm_detector import load_mediapipe_palm_detector
from lgnet_core.synthetic.held_out import BUNDLED_SET, HeldOutHands

REMEDY = "LGNET_EVALUATION_DATA=1 pip install"


def test_a_checkout_has_them():
    for path in (BUNDLED_SET, baselines.BUNDLED_HANDS, checkpoint_files.WEIGHTS_FOLDER / "hand_landmark.safetensors"):
        assert locate_evaluation_data(path) == path


def test_a_missing_one_is_explained(hand_model, monkeypatch, tmp_path):
    with pytest.raises(FileNotFoundError, match=REMEDY):
        HeldOutHands(hand_model, tmp_path / "held_out.npz")
    with pytest.raises(FileNotFoundError, match=REMEDY):
        RandomHands(hand_model, tmp_path / "random_hands.npz")
    monkeypatch.setattr(pretrained, "WEIGHTS_FOLDER", tmp_path)
    for load in (load_hand_landmark_net, load_mediapipe_palm_detector):
        with pytest.raises(FileNotFoundError, match=REMEDY):
            load()
