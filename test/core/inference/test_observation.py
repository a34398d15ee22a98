"""Observations: landmarks back in the image, sides of mirrored crops, the crop's own camera."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.scripted_engines import CAMERA, LENS, ScriptedHand, ScriptedLandmarks, coordinate_image, hand_at

from lgnet_core.geometry.camera import project, project_distorted, transform_points
from lgnet_core.geometry.hand_crops import HandCrops, crops_of_joints
from lgnet_core.inference.crops import local_intrinsics
from lgnet_core.inference.observation import (
    HandObservation,
    HandObserver,
    crops_of_observations,
)
from lgnet_core.inference.timing import Stopwatch
from lgnet_core.network.detector.hand_landmark import HAND_CROP_SIZE
from lgnet_core.types import Side

HANDS = [hand_at(70, 120), hand_at(170, 100, Side.LEFT, size=0.8, presence=0.7)]


def crops_of(hands: list[ScriptedHand], mirrored: list[bool]) -> HandCrops:
    crops = crops_of_joints(torch.from_numpy(np.stack([hand.joints for hand in hands])))
    return crops._replace(mirrored=torch.tensor(mirrored))


def observe(engine: ScriptedLandmarks, crops: HandCrops, camera=CAMERA) -> list[HandObservation | None]:
    return HandObserver(engine).observe(coordinate_image(), camera, crops, Stopwatch())


@pytest.mark.parametrize("mirrored", [[False, False], [False, True], [True, False]])
def test_what_is_observed_is_the_same_in_either_crop(mirrored):
    """Joints, presence and side of the hand do not depend on whether its crop is mirrored."""
    engine = ScriptedLandmarks(HANDS)
    for hand, flag, seen in zip(HANDS, mirrored, observe(engine, crops_of(HANDS, mirrored))):
        np.testing.assert_allclose(seen.joints, hand.joints, atol=0.05)
        assert seen.presence == pytest.approx(hand.presence, abs=1e-5)
        assert seen.right_probability == pytest.approx(hand.right_probability, abs=1e-5)
        assert seen.mirrored is flag
        assert np.sign(np.linalg.det(seen.frame)) == (-1 if flag else 1)
    assert engine.batches == [2]


def test_the_affine_is_that_of_the_pixels():
    engine = ScriptedLandmarks(HANDS)
    for seen, read in zip(observe(engine, crops_of(HANDS, [False, True])), engine.affines):
        corners = np.array([[0.0, 0], [240, 180]])
        np.testing.assert_allclose(transform_points(seen.affine, corners), transform_points(read, corners), atol=0.5)


@pytest.mark.parametrize("camera", [CAMERA, LENS], ids=["pinhole", "distorted"])
def test_intrinsics_draw_into_the_crop_what_the_camera_sees(camera):
    """To first order where the lens distorts: within 0.1 pixel of the crop at a tenth of its side from its centre."""
    for seen in observe(ScriptedLandmarks(HANDS), crops_of(HANDS, [False, True]), camera):
        middle = np.full((1, 2), (HAND_CROP_SIZE - 1) / 2)
        ray = seen.frame[2]  # through the crop's centre
        around = ray / ray[2] + np.array([[0, 0, 0], [0.01, 0, 0], [0, -0.01, 0]])
        drawn = project(torch.from_numpy(around), torch.from_numpy(seen.intrinsics)).numpy()
        wanted = transform_points(seen.affine, project_distorted(around, camera))
        np.testing.assert_allclose(drawn, wanted, atol=1e-6 if camera is CAMERA else 0.1)
        np.testing.assert_allclose(drawn[:1], middle, atol=1e-6 if camera is CAMERA else 1e-3)


def test_a_distorted_image_has_a_camera_of_its_own_at_each_crop():
    crops = crops_of(HANDS, [False, False])
    seen = observe(ScriptedLandmarks(HANDS), crops, LENS)
    for hand, centre, affine in zip(seen, crops.centre.numpy(), crops.affine(HAND_CROP_SIZE).numpy()):
        matrix = local_intrinsics(LENS, centre)
        np.testing.assert_allclose(hand.intrinsics, np.vstack([affine @ matrix, [0, 0, 1]]))
    assert not np.allclose(local_intrinsics(LENS, crops.centre[0].numpy()), LENS.matrix)


def test_crops_that_show_nothing_cost_nothing():
    """Too small, or at no place: they have no observation, and the rest are in their rows."""
    engine = ScriptedLandmarks(HANDS)
    crops = crops_of([HANDS[0], HANDS[1], HANDS[0]], [False] * 3)
    side = crops.side.clone()
    side[0] = 7.5
    seen = observe(engine, crops._replace(side=side))
    assert [hand is None for hand in seen] == [True, False, False]
    assert engine.batches == [2]
    np.testing.assert_allclose(seen[1].joints, HANDS[1].joints, atol=0.05)
    assert observe(engine, crops.select(torch.tensor([False] * 3))) == []
    assert observe(engine, crops._replace(side=side * torch.nan)) == [None] * 3
    assert engine.batches == [2]


@pytest.mark.parametrize("field", ["landmarks", "world_landmarks"])
def test_answers_that_are_not_finite_are_none(field):
    class Overflowing(ScriptedLandmarks):
        def __call__(self, crops):
            found = super().__call__(crops)
            getattr(found, field)[0, 3] = torch.inf
            return found

    seen = observe(Overflowing(HANDS), crops_of(HANDS, [False, False]))
    assert seen[0] is None
    assert seen[1].presence == pytest.approx(0.7)


def test_stages_are_timed():
    watch = Stopwatch()
    HandObserver(ScriptedLandmarks(HANDS)).observe(coordinate_image(), CAMERA, crops_of(HANDS, [False] * 2), watch)
    assert watch.seconds["crop"] > 0
    assert watch.seconds["network"] > 0
    assert watch.seconds["detect"] == 0


def test_a_belief_has_two_sides():
    right, left = observe(ScriptedLandmarks(HANDS), crops_of(HANDS, [False, True]))
    assert (right.side, left.side) == (Side.RIGHT, Side.LEFT)
    for hand in (right, left):
        assert hand.side_probability(Side.RIGHT) + hand.side_probability(Side.LEFT) == pytest.approx(1)
    turned = left.with_right_probability(0.6)
    assert turned.side is Side.RIGHT
    assert left.side is Side.LEFT
    assert turned.joints is left.joints
    box = HANDS[0].joints
    np.testing.assert_allclose(right.box, [*box.min(0), *box.max(0)], atol=0.05)
    assert right.size == pytest.approx(np.ptp(box, axis=0).max(), abs=0.1)


def test_the_next_crops_follow_joints_and_sides():
    seen = observe(ScriptedLandmarks(HANDS), crops_of(HANDS, [True, False]))
    crops = crops_of_observations(seen)
    assert crops.mirrored.tolist() == [False, True]
    np.testing.assert_allclose(crops.centre, crops_of(HANDS, [False] * 2).centre, atol=0.1)
