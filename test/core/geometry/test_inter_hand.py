"""The transform between the hands, against an independent derivation with 4x4 matrices by scipy."""

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

PLACES = st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3), st.floats(0.3, 1.0))


def two_hands(hand_model: HandModel, seed: int, pose: str = "relaxed", right=(0.1, 0, 0.5), left=(-0.1, 0, 0.5)):
    mine, theirs = (posed(hand_model, side, pose, turn(seed + side), at) for side, at in zip(Side, (right, left)))
    return TwoHands(mine, theirs, theirs.joints[0] - mine.joints[0], metric=True)


def matrix(pose) -> np.ndarray:
    """(4, 4) of a pose, by scipy."""
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = Rotation.from_quat(pose.quaternion).as_matrix(), pose.position
    return out


@given(seed=SEEDS, pose=POSES, right=PLACES, left=PLACES)
def test_the_transform_is_the_right_frames_inverse_times_the_left_frame(hand_model, seed, pose, right, left):
    hands = two_hands(hand_model, seed, pose, right, left)
    frames = HandFrames(hand_model)
    found = inter_hand(hands, frames.poses(hands.hands))
    truth = np.linalg.inv(matrix(frames.pose(hands.right))) @ matrix(frames.pose(hands.left))
    np.testing.assert_allclose(matrix(found.pose), truth, atol=1e-12)
    # The left wrist, known in the camera frame, is where the transform takes the left frame's origin.
    out = frames.pose(hands.right).rotation @ found.pose.position + hands.right.joints[0]
    np.testing.assert_allclose(out, hands.left.joints[0], atol=1e-12)
    assert found.confidence == pytest.approx(hands.right.presence * hands.left.presence)
    assert found.distance == pytest.approx(np.linalg.norm(found.closest_right - found.closest_left), abs=1e-9)


@given(seed=SEEDS, other=SEEDS)
def test_the_camera_does_not_matter(hand_model, seed, other):
    """Both hands moved alike: the same relation, its points moved along."""
    hands, frames = two_hands(hand_model, seed), HandFrames(hand_model)
    move, shift = turn(other), np.random.default_rng(other).normal(0, 0.3, 3)

    def moved(hand):
        rotations = hand.rotations.copy()
        rotations[0] = move @ rotations[0]
        return replace(hand, joints=hand.joints @ move.T + shift, vertices=hand.vertices @ move.T + shift,
                       rotations=rotations)  # fmt: skip

    again = replace(hands, right=moved(hands.right), left=moved(hands.left))
    first, second = (inter_hand(both, frames.poses(both.hands)) for both in (hands, again))
    np.testing.assert_allclose(matrix(second.pose), matrix(first.pose), atol=1e-6)
    assert second.distance == pytest.approx(first.distance, abs=1e-8)
    np.testing.assert_allclose(second.closest_right, first.closest_right @ move.T + shift, atol=1e-5)


def test_only_for_two_hands_in_the_camera_frame(hand_model):
    hands = two_hands(hand_model, 0)
    poses = HandFrames(hand_model).poses(hands.hands)
    assert inter_hand(hands, poses) is not None
    for less in (replace(hands, right=None), replace(hands, left=None), replace(hands, metric=False)):
        assert inter_hand(less, poses) is None
