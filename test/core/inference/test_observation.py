"""Hand observations: landmarks in the image, handedness in mirrored crops, the crop's intrinsics."""

from __future__ import annotations

import numpy as np
import pytest
from support.scripted_engines import CAMERA, LENS, ScriptedHand, ScriptedLandmarks, coordinate_image, hand_at

from lgnet_core.geometry.affine import transform_points
from lgnet_core.geometry.camera import project, project_distorted
from lgnet_core.geometry.hand_crops import HandCrops, crops_from_joints
from lgnet_core.inference.camera import local_intrinsics
from lgnet_core.inference.context import ImageContext
from lgnet_core.inference.observation import HandObservation, HandObserver, crops_from_observations
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.network.prediction import HAND_CROP_SIZE
from lgnet_core.types import Side

HANDS = [hand_at(70, 120), hand_at(170, 100, Side.LEFT, size=0.8, presence=0.7)]


def context(camera=CAMERA) -> ImageContext:
    return ImageContext.from_image(coordinate_image(), camera, Thresholds())


def crops_of(hands: list[ScriptedHand], mirrored: list[bool]) -> HandCrops:
    crops = crops_from_joints(np.stack([hand.joints for hand in hands]))
    return crops._replace(mirrored=np.array(mirrored))


def observe(engine: ScriptedLandmarks, crops: HandCrops, camera=CAMERA) -> list[HandObservation | None]:
    return HandObserver(engine).observe(context(camera), crops)


@pytest.mark.parametrize("mirrored", [[False, False], [False, True], [True, False]])
def test_observations_do_not_depend_on_mirroring(mirrored):
    engine = ScriptedLandmarks(HANDS)
    for hand, flag, observation in zip(HANDS, mirrored, observe(engine, crops_of(HANDS, mirrored))):
        np.testing.assert_allclose(observation.joints, hand.joints, atol=0.05)
        assert observation.presence == pytest.approx(hand.presence, abs=1e-5)
        assert observation.right_probability == pytest.approx(hand.right_probability, abs=1e-5)
        assert observation.mirrored is flag
        assert np.sign(np.linalg.det(observation.canonical_frame)) == (-1 if flag else 1)
    assert engine.batches == [2]


def test_the_affine_matches_the_pixels_of_the_crop():
    engine = ScriptedLandmarks(HANDS)
    observations = observe(engine, crops_of(HANDS, [False, True]))
    corners = np.array([[0.0, 0], [240, 180]])
    for observation, affine in zip(observations, engine.affines, strict=True):
        expected = transform_points(affine, corners)
        np.testing.assert_allclose(transform_points(observation.affine, corners), expected, atol=0.5)


@pytest.mark.parametrize("camera", [CAMERA, LENS], ids=["pinhole", "distorted"])
def test_intrinsics_project_into_the_crop(camera):
    """To first order for a distorted camera: within 0.1 pixel of the crop at a tenth of its side from its centre."""
    for observation in observe(ScriptedLandmarks(HANDS), crops_of(HANDS, [False, True]), camera):
        centre = np.full((1, 2), (HAND_CROP_SIZE - 1) / 2)
        ray = observation.canonical_frame[2]  # through the crop's centre
        points = ray / ray[2] + np.array([[0, 0, 0], [0.01, 0, 0], [0, -0.01, 0]])
        projected = project(points, observation.intrinsics)
        expected = transform_points(observation.affine, project_distorted(points, camera))
        np.testing.assert_allclose(projected, expected, atol=1e-6 if camera is CAMERA else 0.1)
        np.testing.assert_allclose(projected[:1], centre, atol=1e-6 if camera is CAMERA else 1e-3)


def test_each_crop_of_a_distorted_image_has_its_own_intrinsics():
    crops = crops_of(HANDS, [False, False])
    observations = observe(ScriptedLandmarks(HANDS), crops, LENS)
    for hand, centre, affine in zip(observations, crops.centre, crops.affine(HAND_CROP_SIZE)):
        matrix = local_intrinsics(LENS, centre)
        np.testing.assert_allclose(hand.intrinsics, np.vstack([affine @ matrix, [0, 0, 1]]))
    assert not np.allclose(local_intrinsics(LENS, crops.centre[0]), LENS.matrix)


def test_invalid_crops_are_skipped():
    """Too small or not finite: they have no observation, and the others keep their indices."""
    engine = ScriptedLandmarks(HANDS)
    crops = crops_of([HANDS[0], HANDS[1], HANDS[0]], [False] * 3)
    side = crops.side.copy()
    side[0] = 7.5
    observations = observe(engine, crops._replace(side=side))
    assert [hand is None for hand in observations] == [True, False, False]
    assert engine.batches == [2]
    np.testing.assert_allclose(observations[1].joints, HANDS[1].joints, atol=0.05)
    assert observe(engine, crops.select(np.zeros(3, bool))) == []
    assert observe(engine, crops._replace(side=side * np.nan)) == [None] * 3
    assert engine.batches == [2]


@pytest.mark.parametrize("field", ["landmarks", "world_landmarks"])
def test_outputs_that_are_not_finite_give_no_observation(field):
    class Overflowing(ScriptedLandmarks):
        def __call__(self, crops):
            output = super().__call__(crops)
            getattr(output, field)[0, 3] = np.inf
            return output

    observations = observe(Overflowing(HANDS), crops_of(HANDS, [False, False]))
    assert observations[0] is None
    assert observations[1].presence == pytest.approx(0.7)


def test_stages_are_timed():
    timed = context()
    HandObserver(ScriptedLandmarks(HANDS)).observe(timed, crops_of(HANDS, [False] * 2))
    seconds = timed.stopwatch.seconds
    assert seconds["crop"] > 0
    assert seconds["network"] > 0
    assert seconds["detect"] == 0


def test_properties_follow_from_handedness_and_joints():
    right, left = observe(ScriptedLandmarks(HANDS), crops_of(HANDS, [False, True]))
    assert (right.side, left.side) == (Side.RIGHT, Side.LEFT)
    for hand in (right, left):
        assert hand.side_probability(Side.RIGHT) + hand.side_probability(Side.LEFT) == pytest.approx(1)
    changed = left.with_right_probability(0.6)
    assert changed.side is Side.RIGHT
    assert left.side is Side.LEFT
    assert changed.joints is left.joints
    joints = HANDS[0].joints
    np.testing.assert_allclose(right.box, [*joints.min(0), *joints.max(0)], atol=0.05)
    assert right.size == pytest.approx(np.ptp(joints, axis=0).max(), abs=0.1)


def test_crops_follow_from_joints_and_sides():
    observations = observe(ScriptedLandmarks(HANDS), crops_of(HANDS, [True, False]))
    crops = crops_from_observations(observations)
    assert crops.mirrored.tolist() == [False, True]
    np.testing.assert_allclose(crops.centre, crops_of(HANDS, [False] * 2).centre, atol=0.1)
    assert crops_from_observations(observations, [Side.LEFT, Side.LEFT]).mirrored.tolist() == [True, True]
