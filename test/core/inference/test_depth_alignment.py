"""Hands scaled about the camera's centre keep their projections."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fixed_hands import two_hands

from lgnet_core.geometry.camera import project_distorted
from lgnet_core.hand_model import HandModel
from lgnet_core.inference.depth_alignment import interpolate_hand, measure_scales, scale_hands
from lgnet_core.types import WRIST, Camera, DepthMap, Side, SizeSource, TwoHands

CAMERA = Camera(np.array([[500.0, 0, 319.5], [0, 500, 239.5], [0, 0, 1]]), 640, 480)


@pytest.fixture(scope="module")
def hands(hand_model: HandModel) -> TwoHands:
    return two_hands(hand_model)


@given(right=st.floats(0.6, 1.6), left=st.floats(0.6, 1.6))
def test_projections_and_sizes(hands, right, left):
    scaled = scale_hands(hands, {Side.RIGHT: right, Side.LEFT: left}, SizeSource.DEPTH)
    for before, after, factor in zip(hands.hands, scaled.hands, (right, left)):
        assert after.size_source is SizeSource.DEPTH
        np.testing.assert_allclose(project_distorted(after.joints, CAMERA), project_distorted(before.joints, CAMERA))
        np.testing.assert_allclose(after.joints[WRIST, 2], factor * before.joints[WRIST, 2])
        np.testing.assert_allclose(after.joint_std, factor * before.joint_std)
        np.testing.assert_allclose(
            np.linalg.norm(np.ptp(after.vertices, 0)), factor * np.linalg.norm(np.ptp(before.vertices, 0))
        )
    between = scaled.left.joints[WRIST] - scaled.right.joints[WRIST]
    np.testing.assert_allclose(scaled.relative_translation, between)


def test_only_hands_with_a_factor_change(hands):
    scaled = scale_hands(hands, {Side.LEFT: 1.1}, SizeSource.DEPTH)
    assert scaled.right is hands.right
    assert (scaled.right.size_source, scaled.left.size_source) == (hands.right.size_source, SizeSource.DEPTH)


def test_halfway_between_two_images(hands):
    other = scale_hands(hands, {Side.RIGHT: 1.2, Side.LEFT: 1.2}, SizeSource.DEPTH).right
    half = interpolate_hand(hands.right, other, 0.5)
    np.testing.assert_allclose(half.vertices, 1.1 * hands.right.vertices)
    assert half.track_id == other.track_id


def test_depth_of_another_size_is_refused(hands):
    with pytest.raises(ValueError, match=r"depth: 320x240 pixels, but the image has 640x480; register the depth"):
        measure_scales({hand.side: hand for hand in hands.hands}, DepthMap(np.zeros((240, 320)), 0), CAMERA)
