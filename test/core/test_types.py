"""Core types: cameras, and the readable representation of hands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lgnet_core.geometry.camera import project_distorted
from lgnet_core.types import DISTORTION_COUNTS, JOINT_NAMES, JOINT_PARENTS, Camera, Hand, Side, TwoHands


@pytest.fixture
def hand() -> Hand:
    joints = np.tile([0.051, -0.02, 0.507], (21, 1))
    empty = np.zeros(0)
    return Hand(Side.RIGHT, 0.981, joints, empty, np.zeros((0, 3), int), empty, empty, empty, empty, track_id=3)


def test_repr_of_a_hand_is_one_readable_line(hand):
    assert repr(hand) == "Hand(right, presence 0.98, wrist (0.05, -0.02, 0.51) m, track 3)"
    assert repr(replace(hand, track_id=0)) == "Hand(right, presence 0.98, wrist (0.05, -0.02, 0.51) m)"


def test_repr_of_two_hands(hand):
    left = replace(hand, side=Side.LEFT, presence=0.87)
    both = TwoHands(hand, left, np.array([-0.2, 0.05, 0.03]), metric=True)
    assert repr(both) == "TwoHands(metric, right 0.98, left 0.87, wrists 0.21 m apart)"
    assert repr(replace(both, metric=False)) == "TwoHands(wrist-relative, right 0.98, left 0.87, wrists 0.21 m apart)"


def test_repr_of_missing_hands(hand):
    assert repr(TwoHands(hand, None, None, metric=True)) == "TwoHands(metric, right 0.98)"
    assert repr(TwoHands(None, None, None, metric=False)) == "TwoHands(wrist-relative, no hands)"


def test_hands_lists_the_detected_hands_right_before_left(hand):
    left = replace(hand, side=Side.LEFT)
    assert TwoHands(hand, left, None, metric=True).hands == [hand, left]
    assert TwoHands(None, left, None, metric=True).hands == [left]
    assert TwoHands(None, None, None, metric=True).hands == []


def test_skeleton_is_a_tree_rooted_at_the_wrist():
    assert JOINT_PARENTS[0] == -1
    for joint, parent in enumerate(JOINT_PARENTS[1:], start=1):
        assert JOINT_NAMES[parent] in ("wrist", JOINT_NAMES[joint][:-1] + str(int(JOINT_NAMES[joint][-1]) - 1))


@pytest.mark.parametrize(
    ("matrix", "size", "message"),
    [
        (np.eye(2), (640, 480), r"expected shape \(3, 3\)"),
        (np.full((3, 3), np.nan), (640, 480), "NaN or infinity"),
        (np.zeros((3, 3)), (640, 480), "focal lengths must be positive"),
        (np.eye(3), (640, 0), "width and height are 640 and 0"),
        ([[600, 0, 1e6], [0, 600, 240], [0, 0, 1]], (640, 480), r"principal point \(1e\+06, 240\) is far outside"),
        ([[600, 0, 320], [0, 600, -1e6], [0, 0, 1]], (640, 480), r"principal point \(320, -1e\+06\) is far outside"),
    ],
)
def test_invalid_cameras_are_rejected(matrix, size, message):
    with pytest.raises(ValueError, match=message):
        Camera(matrix, *size)


def test_principal_point_outside_a_crop_is_valid():
    """A region of interest at the border of a wide sensor."""
    assert Camera(np.array([[600.0, 0, 1900], [0, 600, -300], [0, 0, 1]]), 64, 48).matrix[0, 2] == 1900


@pytest.mark.parametrize("count", range(1, 16))
def test_cameras_are_valid_exactly_if_opencv_has_such_a_lens_model(count):
    matrix, point = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), np.array([[0.1, 0.2, 1.0]])
    try:
        project_distorted(point, Camera(matrix, 640, 480, np.full(count, 0.01)))
        valid = True
    except ValueError as error:
        assert f"{count} distortion coefficients; expected 0, 4, 5, 8, 12 or 14" in str(error)  # noqa: PT017
        valid = False
    assert valid == (count in DISTORTION_COUNTS)
