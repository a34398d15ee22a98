"""Detection scores of full images with known hands."""

from __future__ import annotations

import numpy as np
import pytest

from lgnet_core.evaluation.end_to_end.reported_hand import ReportedHand
from lgnet_core.evaluation.end_to_end.synthetic_full import DetectionScores, FullImage, generate_image
from lgnet_core.geometry.camera import project_distorted
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.types import Camera, Side

CAMERA = Camera(np.array([[500.0, 0, 319.5], [0, 500, 239.5], [0, 0, 1]]), 640, 480)
IMAGE = np.zeros((480, 640, 3), np.uint8)
SHAPE = np.random.default_rng(1).uniform(-0.08, 0.08, (21, 3)) * [1, 1, 0.2]  # 16 cm: 160 px at half a metre


def full_image(presence=(True, True), visible=(True, True), depth=0.5) -> FullImage:
    joints = np.stack([SHAPE + np.array([x, 0, depth]) for x in (-0.15, 0.15)])
    visibility = np.tile(np.array(visible)[:, None], (1, 21))
    return FullImage(IMAGE, CAMERA, joints, np.tile(np.eye(3), (2, 1, 1)), np.array(presence), visibility)


def reported_hand(image: FullImage, true_side: Side, side: Side | None = None, offset=(0.0, 0, 0)) -> ReportedHand:
    joints = image.joints[true_side] + offset
    return ReportedHand(true_side if side is None else side, project_distorted(joints, CAMERA), joints, True)


def metrics(*images) -> dict[str, float]:
    score = DetectionScores()
    for image, hands in images:
        score.update(image, hands)
    return score.compute()


def test_true_hands_have_perfect_scores():
    image = full_image()
    scores = metrics((image, [reported_hand(image, side) for side in Side]))
    for name in ("recall", "precision", "recall with side", "precision with side"):
        for group in ("all", "large", "large and visible"):
            assert scores[f"{name}, {group}"] == 1
    for name in ("2D error, px", "error relative to the wrist, mm", "error between the wrists, placed, mm"):
        assert scores[name] == pytest.approx(0, abs=1e-9)


def test_hand_with_wrong_side():
    """One of two hands is reported with the wrong side: it is matched, but has no errors."""
    image = full_image()
    scores = metrics((image, [reported_hand(image, Side.RIGHT, Side.LEFT)]))
    assert (scores["hands, all"], scores["recall, all"], scores["precision, all"]) == (2, 0.5, 1)
    assert (scores["recall with side, all"], scores["precision with side, all"]) == (0, 0)
    assert np.isnan(scores["2D error, px"])


def test_errors_of_displaced_hands():
    """The left hand is displaced by 1 cm (10 px at half a metre): 10 mm between the wrists, no relative error."""
    image = full_image()
    scores = metrics((image, [reported_hand(image, Side.RIGHT), reported_hand(image, Side.LEFT, offset=(0.01, 0, 0))]))
    assert scores["2D error, px"] == pytest.approx(5, rel=0.05)
    assert scores["error relative to the wrist, mm"] == pytest.approx(0, abs=1e-9)
    assert scores["error between the wrists, placed, mm"] == pytest.approx(10)


def test_occluded_and_small_hands_are_counted_separately():
    """A missed occluded hand lowers the recall of all hands, not of visible hands; a distant hand is not large."""
    hidden, distant = full_image(visible=(False, True)), full_image(depth=5.0)
    scores = metrics((hidden, [reported_hand(hidden, Side.LEFT)]), (distant, []))
    assert (scores["hands, all"], scores["hands, large"], scores["hands, large and visible"]) == (4, 2, 1)
    assert (scores["recall, all"], scores["recall, large"], scores["recall, large and visible"]) == (0.25, 0.5, 1)
    false_positives = metrics(
        (full_image((False, False)), [reported_hand(hidden, Side.LEFT)]), (hidden, [reported_hand(hidden, Side.RIGHT)])
    )
    assert (false_positives["precision, all"], false_positives["precision, large and visible"]) == (
        0.5,
        0,
    )  # the occluded one does not count


def test_unplaced_hands_have_no_error_between_wrists():
    image = full_image()
    scores = metrics((image, [reported_hand(image, side)._replace(placed=False) for side in Side]))
    assert np.isnan(scores["error between the wrists, placed, mm"])
    assert scores["error relative to the wrist, mm"] == pytest.approx(0, abs=1e-9)


def test_second_hand_of_a_side_is_a_false_positive():
    image = full_image((True, False))
    scores = metrics((image, [reported_hand(image, Side.RIGHT), reported_hand(image, Side.LEFT, Side.RIGHT)]))
    assert (scores["recall, all"], scores["precision, all"]) == (1, 0.5)


def test_generated_images(hand_model):
    """Images are reproducible, and their true hands have perfect scores."""
    image, again = (generate_image(SyntheticHands(3, hand_model), 1) for _ in range(2))
    np.testing.assert_array_equal(image.image, again.image)
    assert image.image.shape == (480, 640, 3)
    assert (image.camera.width, image.camera.height) == (640, 480)
    present_sides = [side for side in Side if image.presence[side]]
    pixels = [project_distorted(image.joints[side], image.camera) for side in present_sides]
    hands = [ReportedHand(side, pixels, image.joints[side], True) for side, pixels in zip(present_sides, pixels)]
    scores = metrics((image, hands))
    assert scores["hands, all"] == len(present_sides)
    assert not present_sides or scores["recall with side, all"] == 1
