"""Tests of the TF transforms of hands and joints."""

from __future__ import annotations

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from std_msgs.msg import Header
from support.ros_hands import no_hands, two_hands, uncalibrated_hands
from support.ros_matrices import to_matrix

from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_core.geometry.inter_hand import relative_pose
from lgnet_core.hand_model import HandModel
from lgnet_core.messages.names import hand_frame_name
from lgnet_core.types import JOINT_NAMES, Side
from lgnet_ros.output.transforms import to_transforms

HEADER = Header(stamp=Time(sec=12, nanosec=34), frame_id="camera")


@pytest.fixture(scope="module")
def frames(hand_model: HandModel) -> HandFrames:
    return HandFrames(hand_model)


@pytest.mark.parametrize("sides", [(), (Side.RIGHT,), (Side.LEFT,), (Side.RIGHT, Side.LEFT)])
@pytest.mark.parametrize("prefix", ["", "arm/"])
def test_present_hands_have_frames(
    hand_model: HandModel, frames: HandFrames, sides: tuple[Side, ...], prefix: str
) -> None:
    hands = two_hands(hand_model, sides)
    transforms = to_transforms(hands, HEADER, frames.poses(hands.hands), prefix)
    assert [t.child_frame_id for t in transforms] == [f"{prefix}hand_{side.label}" for side in sides]
    for hand, transform in zip(hands.hands, transforms):
        assert transform.header == HEADER
        matrix = to_matrix(transform.transform)
        np.testing.assert_array_equal(matrix[:3, 3], hand.joints[0])
        np.testing.assert_allclose(matrix[:3, :3], frames.pose(hand).rotation, atol=1e-12)
        assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1)


def test_joint_frames_are_at_the_joints(hand_model: HandModel, frames: HandFrames) -> None:
    hands = two_hands(hand_model)
    joint_poses = {hand.key: frames.joint_poses(hand) for hand in hands.hands}
    stamped = to_transforms(hands, HEADER, frames.poses(hands.hands), "arm/", joint_poses)
    transforms = {t.child_frame_id: t for t in stamped}
    assert len(transforms) == 2 * 21
    for hand in hands.hands:
        for joint in range(1, 21):
            transform = transforms[f"arm/hand_{hand.side.label}_{JOINT_NAMES[joint]}"]
            assert transform.header == HEADER
            matrix = to_matrix(transform.transform)
            np.testing.assert_array_equal(matrix[:3, 3], hand.joints[joint])
            np.testing.assert_allclose(matrix[:3, :3], joint_poses[hand.key][joint].rotation, atol=1e-12)
            q = transform.transform.rotation
            assert np.linalg.norm([q.x, q.y, q.z, q.w]) == pytest.approx(1, abs=1e-12)
    assert "arm/hand_right_index_2" in transforms


def test_lookup_between_the_hands_equals_the_relative_pose(hand_model: HandModel, frames: HandFrames) -> None:
    hands = two_hands(hand_model)
    poses = frames.poses(hands.hands)
    right, left = (to_matrix(t.transform) for t in to_transforms(hands, HEADER, poses, ""))
    relation = relative_pose(*poses.values())
    lookup = np.linalg.inv(right) @ left
    np.testing.assert_allclose(lookup[:3, :3], relation.rotation, atol=1e-12)
    np.testing.assert_allclose(lookup[:3, 3], relation.position, atol=1e-12)


def test_no_transforms_without_parent_frame(hand_model: HandModel, frames: HandFrames) -> None:
    hands = two_hands(hand_model)
    assert to_transforms(hands, Header(), frames.poses(hands.hands), "") == []


def test_no_transforms_without_hands() -> None:
    assert to_transforms(no_hands(), HEADER, {}, "") == []
    with pytest.raises(ValueError, match="uncalibrated"):
        to_transforms(uncalibrated_hands(), HEADER, {}, "")


def test_frame_names() -> None:
    assert [hand_frame_name("p_", side) for side in Side] == ["p_hand_right", "p_hand_left"]
