"""Figures of full images with hands whose places are known."""

from __future__ import annotations

import numpy as np
import pytest

from lgnet_core.evaluation.end_to_end.synthetic_full import FullImage, FullImageFigures, draw
from lgnet_core.evaluation.reported import ReportedHand
from lgnet_core.geometry.camera import project_distorted
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.types import Camera, Side

CAMERA = Camera(np.array([[500.0, 0, 319.5], [0, 500, 239.5], [0, 0, 1]]), 640, 480)
IMAGE = np.zeros((480, 640, 3), np.uint8)
SHAPE = np.random.default_rng(1).uniform(-0.08, 0.08, (21, 3)) * [1, 1, 0.2]  # 16 cm: 160 px at half a metre


def truth(present=(True, True), shown=(True, True), depth=0.5) -> FullImage:
    joints = np.stack([SHAPE + np.array([x, 0, depth]) for x in (-0.15, 0.15)])
    return FullImage(IMAGE, CAMERA, joints, np.array(present), np.array(shown))


def hand(image: FullImage, place: Side, side: Side | None = None, moved=(0.0, 0, 0)) -> ReportedHand:
    joints = image.joints[place] + moved
    return ReportedHand(place if side is None else side, project_distorted(joints, CAMERA), joints, True)


def figures(*images) -> dict[str, float]:
    score = FullImageFigures()
    for image, hands in images:
        score.update(image, hands)
    return score.compute()


def test_the_truth_has_no_error():
    image = truth()
    found = figures((image, [hand(image, side) for side in Side]))
    for name in ("recall", "precision", "recall with side", "precision with side"):
        for group in ("all", "large", "large and shown"):
            assert found[f"{name}, {group}"] == 1
    for name in ("2D error, px", "error from the wrist, mm", "error between the wrists, placed, mm"):
        assert found[name] == pytest.approx(0, abs=1e-9)


def test_a_wrong_side_is_found_but_not_with_its_side():
    """Of two hands one is reported, as the other one: found at its place, and no error is taken of it."""
    image = truth()
    found = figures((image, [hand(image, Side.RIGHT, Side.LEFT)]))
    assert (found["hands, all"], found["recall, all"], found["precision, all"]) == (2, 0.5, 1)
    assert (found["recall with side, all"], found["precision with side, all"]) == (0, 0)
    assert np.isnan(found["2D error, px"])


def test_errors_of_moved_hands():
    """The left hand 1 cm to the right, 10 px at half a metre: between the wrists 10 mm, from the wrist nothing."""
    image = truth()
    found = figures((image, [hand(image, Side.RIGHT), hand(image, Side.LEFT, moved=(0.01, 0, 0))]))
    assert found["2D error, px"] == pytest.approx(5, rel=0.05)
    assert found["error from the wrist, mm"] == pytest.approx(0, abs=1e-9)
    assert found["error between the wrists, placed, mm"] == pytest.approx(10)


def test_hidden_and_small_hands_count_apart():
    """A hidden hand that is missed counts against all, not against those that are shown; a far hand is not large."""
    hidden, far = truth(shown=(False, True)), truth(depth=5.0)
    found = figures((hidden, [hand(hidden, Side.LEFT)]), (far, []))
    assert (found["hands, all"], found["hands, large"], found["hands, large and shown"]) == (4, 2, 1)
    assert (found["recall, all"], found["recall, large"], found["recall, large and shown"]) == (0.25, 0.5, 1)
    wrong = figures((truth((False, False)), [hand(hidden, Side.LEFT)]), (hidden, [hand(hidden, Side.RIGHT)]))
    assert (wrong["precision, all"], wrong["precision, large and shown"]) == (0.5, 0)  # the hidden one counts not


def test_hands_that_are_not_placed_have_no_error_between_them():
    image = truth()
    found = figures((image, [hand(image, side)._replace(placed=False) for side in Side]))
    assert np.isnan(found["error between the wrists, placed, mm"])
    assert found["error from the wrist, mm"] == pytest.approx(0, abs=1e-9)


def test_the_same_side_twice_is_one_hand_and_an_extra():
    image = truth((True, False))
    found = figures((image, [hand(image, Side.RIGHT), hand(image, Side.LEFT, Side.RIGHT)]))
    assert (found["recall, all"], found["precision, all"]) == (1, 0.5)


def test_drawn_images(hand_model):
    """The truth lies in the image, and the same number is the same image."""
    image, again = (draw(SyntheticHands(3, hand_model), 1) for _ in range(2))
    np.testing.assert_array_equal(image.image, again.image)
    assert image.image.shape == (480, 640, 3)
    assert (image.camera.width, image.camera.height) == (640, 480)
    there = [side for side in Side if image.presence[side]]
    places = [project_distorted(image.joints[side], image.camera) for side in there]
    hands = [ReportedHand(side, pixels, image.joints[side], True) for side, pixels in zip(there, places)]
    found = figures((image, hands))
    assert found["hands, all"] == len(there)
    assert not there or found["recall with side, all"] == 1
