"""Tests of the conversion of hands to messages."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose
from hypothesis import given
from hypothesis import strategies as st
from lgnet_ros.msg import HandJoints, HandJointsArray, HandMesh, HandMeshArray, InterHandTransform
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header
from support.ros_hands import QUALITIES, make_hand, no_hands, two_hands, uncalibrated_hands
from support.ros_matrices import to_matrix

from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_core.geometry.inter_hand import InterHand, relative_pose
from lgnet_core.geometry.visibility import JointVisibility
from lgnet_core.hand_model import HandModel
from lgnet_core.robotics.joint_angles import JointAngles, joint_names
from lgnet_core.types import JOINT_NAMES, Side
from lgnet_ros.output import messages
from lgnet_ros.output.messages import (
    POINT_DTYPE,
    to_image,
    to_inter_hand,
    to_joint_states,
    to_joints_array,
    to_mesh_array,
    to_points,
)

HEADER = Header(stamp=Time(sec=1234567890, nanosec=987654321), frame_id="camera_color_optical_frame")
AGE = 0.0625
SIDE_COMBINATIONS = [(), (Side.RIGHT,), (Side.LEFT,), (Side.RIGHT, Side.LEFT)]

headers = st.builds(
    Header,
    stamp=st.builds(Time, sec=st.integers(-(2**31), 2**31 - 1), nanosec=st.integers(0, 2**32 - 1)),
    frame_id=st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",))),
)


@pytest.fixture(scope="module")
def frames(hand_model: HandModel) -> HandFrames:
    return HandFrames(hand_model)


def transmitted(message: Any) -> Any:
    """The message after serialisation and deserialisation."""
    return deserialize_message(serialize_message(message), type(message))


@pytest.mark.parametrize("sides", SIDE_COMBINATIONS)
def test_joints_message(hand_model: HandModel, frames: HandFrames, sides: tuple[Side, ...]) -> None:
    hands = two_hands(hand_model, sides)
    message: HandJointsArray = transmitted(to_joints_array(hands, HEADER, AGE, frames.poses(hands.hands), QUALITIES))
    assert (message.header, message.age) == (HEADER, AGE)
    assert [hand.side for hand in message.hands] == list(sides)
    for hand, hand_message in zip(hands.hands, message.hands):
        assert hand_message.track_id == hand.track_id
        assert hand_message.presence == np.float32(hand.presence)
        np.testing.assert_array_equal([(p.x, p.y, p.z) for p in hand_message.joints], hand.joints)
        np.testing.assert_array_equal(hand_message.covariance, QUALITIES[hand.key].covariance.ravel())
        np.testing.assert_array_equal(hand_message.visibility, QUALITIES[hand.key].visibility)
        np.testing.assert_array_equal(hand_message.joint_std, hand.joint_std.astype(np.float32))
        np.testing.assert_array_equal(hand_message.joints_2d, hand.joints_2d.astype(np.float32).ravel())
        assert_pose_is(hand_message.pose, frames, hand)


@pytest.mark.parametrize("sides", SIDE_COMBINATIONS)
def test_mesh_message(hand_model: HandModel, frames: HandFrames, sides: tuple[Side, ...]) -> None:
    hands = two_hands(hand_model, sides)
    message: HandMeshArray = transmitted(to_mesh_array(hands, HEADER, AGE, frames.poses(hands.hands)))
    assert (message.header, message.age) == (HEADER, AGE)
    assert [hand.side for hand in message.hands] == list(sides)
    for hand, hand_message in zip(hands.hands, message.hands):
        assert (hand_message.track_id, hand_message.presence) == (hand.track_id, np.float32(hand.presence))
        vertices = np.reshape(hand_message.vertices, (-1, 3))
        triangles = np.reshape(hand_message.triangles, (-1, 3))
        np.testing.assert_array_equal(vertices, hand.vertices.astype(np.float32))
        np.testing.assert_array_equal(triangles, hand.faces)
        a, b, c = vertices[triangles].transpose(1, 0, 2)
        outward = np.einsum("ij,ij->i", np.cross(b - a, c - a), a - vertices.mean(0))
        assert outward.sum() > 0, "triangles must be counter-clockwise from outside"
        assert_pose_is(hand_message.pose, frames, hand)


def assert_pose_is(pose: Pose, frames: HandFrames, hand: object) -> None:
    expected = frames.pose(hand)  # type: ignore[arg-type]
    matrix = to_matrix(pose)
    np.testing.assert_array_equal(matrix[:3, 3], expected.position)
    np.testing.assert_allclose(matrix[:3, :3], expected.rotation, atol=1e-12)
    assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1)
    q = pose.orientation
    assert np.linalg.norm([q.x, q.y, q.z, q.w]) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("sides", SIDE_COMBINATIONS)
def test_joint_states_stand_for_the_rotations(hand_model: HandModel, sides: tuple[Side, ...]) -> None:
    hands = two_hands(hand_model, sides)
    message = transmitted(to_joint_states(hands, HEADER))
    assert message.header == HEADER
    assert len(message.name) == len(message.position) == 45 * len(sides)
    assert len(message.velocity) == len(message.effort) == 0
    angles = dict(zip(message.name, message.position))
    for hand in hands.hands:
        own = np.reshape([angles[name] for name in joint_names(hand.side)], (15, 3))
        np.testing.assert_allclose(JointAngles().to_rotations(own, hand.side)[1:], hand.rotations[1:], atol=1e-6)


def test_inter_hand_message(hand_model: HandModel, frames: HandFrames) -> None:
    hands = two_hands(hand_model)
    assert hands.right is not None
    assert hands.left is not None
    pose = relative_pose(*frames.poses(hands.hands).values())
    covariance = np.arange(36.0).reshape(6, 6)
    relation = InterHand(0, pose, covariance, 0.0625, 0.25, np.array([1.0, 2, 3]), np.array([4.0, 5, 6]), 0.5)
    message: InterHandTransform = transmitted(to_inter_hand(relation, HEADER, AGE, "arm/"))
    assert (message.header, message.age, message.distance_std) == (HEADER, AGE, 0.25)
    np.testing.assert_array_equal(message.covariance, covariance.ravel())
    assert (message.right_frame, message.left_frame) == ("arm/hand_right", "arm/hand_left")
    assert (message.distance, message.confidence) == (0.0625, 0.5)
    assert [(p.x, p.y, p.z) for p in (message.closest_right, message.closest_left)] == [(1, 2, 3), (4, 5, 6)]
    joints = to_joints_array(hands, HEADER, AGE, frames.poses(hands.hands), QUALITIES)
    camera_right, camera_left = (to_matrix(hand.pose) for hand in joints.hands)
    np.testing.assert_allclose(camera_right @ to_matrix(message.transform), camera_left, atol=1e-12)


@pytest.mark.parametrize("sides", SIDE_COMBINATIONS)
def test_point_cloud_contains_vertices_and_sides(hand_model: HandModel, sides: tuple[Side, ...]) -> None:
    hands = two_hands(hand_model, sides)
    cloud: PointCloud2 = transmitted(to_points(hands, HEADER))
    assert cloud.header == HEADER
    assert (cloud.height, cloud.width, cloud.point_step) == (1, 778 * len(sides), 16)
    assert [(f.name, f.offset, f.datatype, f.count) for f in cloud.fields] == [
        ("x", 0, PointField.FLOAT32, 1),
        ("y", 4, PointField.FLOAT32, 1),
        ("z", 8, PointField.FLOAT32, 1),
        ("side", 12, PointField.UINT32, 1),
    ]
    assert (cloud.row_step, len(cloud.data), cloud.is_bigendian) == (16 * cloud.width, 16 * cloud.width, False)
    points = np.frombuffer(cloud.data, POINT_DTYPE)
    for hand in hands.hands:
        side_points = points[points["side"] == hand.side]
        np.testing.assert_array_equal(
            np.stack([side_points[axis] for axis in "xyz"], -1), hand.vertices.astype(np.float32)
        )


def test_image_message() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    for image in (pixels, pixels[:, ::-1]):
        message = transmitted(to_image(image, HEADER))
        assert (message.header, message.encoding, message.step) == (HEADER, "rgb8", 90)
        np.testing.assert_array_equal(np.reshape(message.data, image.shape), image)


@given(header=headers)
def test_headers_are_unmodified(hand_model: HandModel, frames: HandFrames, header: Header) -> None:
    hands = two_hands(hand_model)
    joints = to_joints_array(hands, header, AGE, frames.poses(hands.hands), QUALITIES)
    for message in (joints, to_mesh_array(no_hands(), header, AGE, {})):
        assert transmitted(message).header == header
    assert transmitted(to_points(no_hands(), header)).header == header


def test_uncalibrated_hands_are_rejected() -> None:
    with pytest.raises(ValueError, match="uncalibrated"):
        to_joints_array(uncalibrated_hands(), HEADER, AGE, {}, {})
    with pytest.raises(ValueError, match="uncalibrated"):
        to_mesh_array(uncalibrated_hands(), HEADER, AGE, {})
    with pytest.raises(ValueError, match="uncalibrated"):
        to_points(uncalibrated_hands(), HEADER)


def test_arrays_are_assigned_without_conversion(hand_model: HandModel, frames: HandFrames) -> None:
    """ROS 2 Humble checks lists and ndarrays element by element."""
    hands = two_hands(hand_model)
    poses = frames.poses(hands.hands)
    mesh = to_mesh_array(hands, HEADER, AGE, poses).hands[0]
    joints = to_joints_array(hands, HEADER, AGE, poses, QUALITIES).hands[0]
    assert (type(mesh.vertices), mesh.vertices.typecode) == (array.array, "f")
    assert (type(mesh.triangles), mesh.triangles.typecode) == (array.array, "I")
    assert (joints.joint_std.dtype, joints.joints_2d.dtype) == (np.float32, np.float32)
    assert type(to_points(hands, HEADER).data) is array.array


def test_every_field_passes_the_checks_of_rclpy(
    hand_model: HandModel, frames: HandFrames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Humble always checks what newer distributions check on request."""

    class Checked:
        def __init__(self, kind: type) -> None:
            self.kind = kind

        def __call__(self, **fields: object) -> object:
            return self.kind(**fields, check_fields=True)

    for name, value in list(vars(messages).items()):
        if isinstance(value, type) and hasattr(value, "get_fields_and_field_types"):
            monkeypatch.setattr(messages, name, Checked(value))
    hands = two_hands(hand_model)
    to_joints_array(hands, HEADER, AGE, frames.poses(hands.hands), QUALITIES)
    to_mesh_array(hands, HEADER, AGE, frames.poses(hands.hands))
    to_points(hands, HEADER)
    to_image(np.zeros((20, 30, 3), np.uint8), HEADER)
    pose = frames.pose(make_hand(hand_model, Side.LEFT))
    to_inter_hand(InterHand(0, pose, np.eye(6), 0.0, 0.1, np.zeros(3), np.zeros(3), 1.0), HEADER, AGE, "")


def test_message_constants_match_lgnet_core() -> None:
    for kind in (HandJoints, HandMesh):
        assert (kind.RIGHT, kind.LEFT) == (Side.RIGHT, Side.LEFT)
    assert [getattr(HandJoints, name.upper()) for name in JOINT_NAMES] == list(range(HandJoints.NUM_KEYPOINTS))
    for state in JointVisibility:
        assert getattr(HandJoints, f"JOINT_{state.name}") == state
