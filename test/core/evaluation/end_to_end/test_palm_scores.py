"""Recall and precision of a palm detector by kind of hand."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from lgnet_core.evaluation.end_to_end import palm_scores
from lgnet_core.evaluation.end_to_end.palm_scores import KINDS, PalmScores, TrueHand, palm_images
from lgnet_core.geometry.hand_crops import PALM_JOINTS
from lgnet_core.inference.palms import Palms
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.scene.interactions import SceneKind

SHAPE = np.random.default_rng(1).uniform(-1, 1, (21, 2))


def hand(
    x: float = 320, radius: float = 80, visible: int = 21, scene: SceneKind = SceneKind.SEPARATE, gloved: bool = False
) -> TrueHand:
    return TrueHand(SHAPE * radius + [x, 240], np.arange(21) < visible, scene, gloved, (640, 480))


def palms(*keypoints: np.ndarray) -> Palms:
    points = np.array(keypoints).reshape(-1, 7, 2)
    boxes = np.concatenate([points.min(1), points.max(1)], 1)
    return Palms(np.ones(len(points)), boxes, points)


def compute(hands: list[TrueHand], detected: Palms) -> dict[str, float]:
    scores = PalmScores()
    scores.update(hands, detected)
    return scores.compute()


def test_palm_in_place_is_found():
    first, second = hand(160), hand(480)
    side = float(np.ptp(first.palm, axis=0).max())
    scores = compute([first, second], palms(first.palm, second.palm + np.array([0.49 * side, 0])))
    assert (scores["palms, all"], scores["recall, all"], scores["precision"]) == (2, 1, 1)
    scores = compute([first, second], palms(first.palm, second.palm + np.array([0.51 * side, 0])))
    assert (scores["recall, all"], scores["precision"], scores["false candidates per image"]) == (0.5, 0.5, 1)


def test_palm_with_the_opposite_direction_is_not_a_match():
    one = hand()
    turned = one.palm.mean(0) * 2 - one.palm
    assert compute([one], palms(turned))["recall, all"] == 0


def test_small_hands_do_not_count():
    small = hand(radius=20)
    scores = compute([small, hand(500)], palms(small.palm, hand(500).palm))
    assert (scores["palms, all"], scores["precision"]) == (1, 1)


@pytest.mark.parametrize(
    ("one", "kinds"),
    [
        (hand(), {"all"}),
        (hand(scene=SceneKind.CROSSED), {"all", "touching"}),
        (hand(scene=SceneKind.INTERLACED, gloved=True), {"all", "interlaced", "gloved"}),
        (hand(x=0), {"all", "truncated"}),
        (hand(visible=10), {"all", "hidden"}),
        (hand(x=0, visible=3), {"all", "truncated"}),
    ],
)
def test_kinds(one, kinds):
    scores = compute([one], palms(one.palm))
    assert {name for name in KINDS if scores[f"palms, {name}"]} == kinds
    assert all(scores[f"recall, {name}"] == 1 for name in kinds)


def test_image_without_hands():
    scores = compute([], palms(hand().palm))
    assert (scores["precision"], scores["false candidates per image"]) == (0, 1)
    assert np.isnan(scores["recall, all"])


class Gloves(SyntheticHands):
    """Every fifth image has a gloved left hand."""

    def __init__(self, hand_model):
        super().__init__(5, hand_model)

    def gloves_worn(self, indices):
        return torch.stack([torch.zeros_like(indices), indices % 5 == 4], 1).bool()


def test_images_with_gloves_are_added(hand_model, monkeypatch):
    """Until there are three of them, of which the first is among the other images."""
    monkeypatch.setattr(palm_scores, "MIN_GLOVED_IMAGES", 3)
    made = []
    image = palm_scores._image
    monkeypatch.setattr(palm_scores, "_image", lambda generator, index: made.append(index) or image(generator, index))
    images = list(palm_images(Gloves(hand_model), 6))
    assert made == [0, 1, 2, 3, 4, 5, 9, 14]
    for full_image, hands in images:
        assert len(hands) == full_image.presence.sum()
        assert all(one.size == (640, 480) for one in hands)


def test_generated_hands_have_their_palms_in_the_image(hand_model):
    full_image, hands = next(pair for pair in islice(palm_images(SyntheticHands(5, hand_model), 9), 9) if pair[1])
    assert hands[0].palm.shape == (len(PALM_JOINTS), 2)
    assert full_image.image.shape == (480, 640, 3)
