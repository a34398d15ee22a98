"""Core types: cameras, and the readable representation of hands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lgnet_core.types import JOINT_NAMES, JOINT_PARENTS, Camera, Hand, Side, TwoHands


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
        (np.eye(3), (640, 0), "size must be positive"),
    ],
)
def test_invalid_cameras_are_rejected(matrix, size, message):
    with pytest.raises(ValueError, match=message):
        Camera(matrix, *size)
