"""Relation of the two hands, against an independent computation with 4x4 matrices by scipy."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from support.posed_hands import POSES, SEEDS, posed, turn

from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_core.geometry.inter_hand import inter_hand
from lgnet_core.hand_model import HandModel
from lgnet_core.types import Side, TwoHands

POSITIONS = st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3), st.floats(0.3, 1.0))


def two_hands(hand_model: HandModel, seed: int, pose: str = "relaxed", right=(0.1, 0, 0.5), left=(-0.1, 0, 0.5)):
    mine, theirs = (posed(hand_model, side, pose, turn(seed + side), at) for side, at in zip(Side, (right, left)))
    return TwoHands(mine, theirs, theirs.joints[0] - mine.joints[0], metric=True)


def matrix(pose) -> np.ndarray:
    """(4, 4) transform of a pose, by scipy."""
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = Rotation.from_quat(pose.quaternion).as_matrix(), pose.position
    return out


@given(seed=SEEDS, pose=POSES, right=POSITIONS, left=POSITIONS)
def test_transform_is_the_inverse_right_frame_times_the_left_frame(hand_model, seed, pose, right, left):
    hands = two_hands(hand_model, seed, pose, right, left)
    frames = HandFrames(hand_model)
    relation = inter_hand(hands, frames.poses(hands.hands))
    expected = np.linalg.inv(matrix(frames.pose(hands.right))) @ matrix(frames.pose(hands.left))
    np.testing.assert_allclose(matrix(relation.pose), expected, atol=1e-12)
    # The transform maps the origin of the left frame to the left wrist.
    left_wrist = frames.pose(hands.right).rotation @ relation.pose.position + hands.right.joints[0]
    np.testing.assert_allclose(left_wrist, hands.left.joints[0], atol=1e-12)
    assert relation.confidence == pytest.approx(hands.right.presence * hands.left.presence)
    assert relation.distance == pytest.approx(np.linalg.norm(relation.closest_right - relation.closest_left), abs=1e-9)


@given(seed=SEEDS, other=SEEDS)
def test_relation_is_independent_of_the_camera_pose(hand_model, seed, other):
    """A rigid motion of both hands leaves the relation unchanged and moves the closest points along."""
    hands, frames = two_hands(hand_model, seed), HandFrames(hand_model)
    rotation, shift = turn(other), np.random.default_rng(other).normal(0, 0.3, 3)

    def moved(hand):
        rotations = hand.rotations.copy()
        rotations[0] = rotation @ rotations[0]
        return replace(hand, joints=hand.joints @ rotation.T + shift, vertices=hand.vertices @ rotation.T + shift,
                       rotations=rotations)  # fmt: skip

    again = replace(hands, right=moved(hands.right), left=moved(hands.left))
    first, second = (inter_hand(both, frames.poses(both.hands)) for both in (hands, again))
    np.testing.assert_allclose(matrix(second.pose), matrix(first.pose), atol=1e-6)
    assert second.distance == pytest.approx(first.distance, abs=1e-8)
    np.testing.assert_allclose(second.closest_right, first.closest_right @ rotation.T + shift, atol=1e-5)


def test_relation_requires_two_hands_in_the_camera_frame(hand_model):
    hands = two_hands(hand_model, 0)
    poses = HandFrames(hand_model).poses(hands.hands)
    assert inter_hand(hands, poses) is not None
    for incomplete in (replace(hands, right=None), replace(hands, left=None), replace(hands, metric=False)):
        assert inter_hand(incomplete, poses) is None
