"""Conversion of hands to the ROS messages of the topics under ``hands/``.

Arrays are assigned as ``array.array(typecode, bytes)``, which rclpy's setters accept without checking; they check every
element of a list and, in some distributions, of an ndarray. Headers are those of the image, unmodified.
"""

from __future__ import annotations

import array
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from geometry_msgs.msg import Point, Quaternion, Transform, Vector3
from geometry_msgs.msg import Pose as PoseMessage
from numpy.typing import NDArray
from sensor_msgs.msg import Image, JointState, PointCloud2
from shape_msgs.msg import Mesh, MeshTriangle
from std_msgs.msg import Header

from lgnet_core.geometry.hand_frame import Pose
from lgnet_core.geometry.inter_hand import InterHand
from lgnet_core.geometry.pose_covariance import pose_covariance
from lgnet_core.geometry.visibility import joint_visibility
from lgnet_core.messages.names import hand_frame_name
from lgnet_core.robotics.joint_angles import JointAngles, joint_names
from lgnet_core.types import Camera, FloatArray, Hand, HandKey, Hands, ImageArray, Side, TwoHands
from lgnet_ros.interop import create_cloud
from lgnet_ros.msg import HandJoints, HandJointsArray, HandMesh, HandMeshArray, InterHandTransform

Poses = Mapping[HandKey, Pose]
"""Hand frames of the present hands, see :meth:`lgnet_core.geometry.hand_frame.HandFrames.poses`."""


class Quality(NamedTuple):
    """How far ``hands/joints`` can be relied on.

    Args:
        covariance: (6, 6) of the pose, see :func:`lgnet_core.geometry.pose_covariance.pose_covariance`.
        visibility: (21,) of the joints, see :func:`lgnet_core.geometry.visibility.joint_visibility`.
    """

    covariance: FloatArray
    visibility: NDArray[np.uint8]


Qualities = Mapping[HandKey, Quality]
"""Of the present hands, see :func:`to_qualities`."""

POINT_DTYPE = np.dtype([("x", np.float32), ("y", np.float32), ("z", np.float32), ("side", np.uint32)])
"""A point of ``hands/points``: coordinates in the header's frame, metres, and :class:`Side`."""

_JOINT_ANGLES = JointAngles()


def require_metric(hands: Hands) -> None:
    """Check that hands are in metres in the camera frame, as required by messages, transforms and markers.

    Raises:
        ValueError: the hands were estimated without a calibrated camera.
    """
    if not hands.metric:
        raise ValueError("hands of an uncalibrated camera have no metric position in its frame and cannot be published")


def to_qualities(hands: Hands, camera: Camera) -> Qualities:
    """How far metric hands in an image of a camera can be relied on."""
    visibility = joint_visibility(hands, camera)
    return {hand.key: Quality(pose_covariance(hand), visibility[hand.key]) for hand in hands.hands}


def to_joints_array(hands: Hands, header: Header, age: float, poses: Poses, qualities: Qualities) -> HandJointsArray:
    """Message of ``hands/joints``; ``age``: of the image, seconds. Raises: see :func:`require_metric`."""
    require_metric(hands)
    joints = [_joints(hand, poses[hand.key], qualities[hand.key]) for hand in hands.hands]
    return HandJointsArray(header=header, age=age, hands=joints)


def to_mesh_array(hands: Hands, header: Header, age: float, poses: Poses) -> HandMeshArray:
    """Message of ``hands/mesh``; ``age``: of the image, seconds. Raises: see :func:`require_metric`."""
    require_metric(hands)
    return HandMeshArray(header=header, age=age, hands=[_mesh(hand, poses[hand.key]) for hand in hands.hands])


def to_joint_states(hands: TwoHands, header: Header) -> JointState:
    """Message of ``hands/joint_states``: the angles of a person's hands.

    The names are those of :func:`lgnet_core.robotics.joint_angles.joint_names`, the right hand's first.
    """
    positions = [_JOINT_ANGLES.from_rotations(hand.rotations, hand.side).reshape(-1) for hand in hands.hands]
    return JointState(
        header=header,
        name=[name for hand in hands.hands for name in joint_names(hand.side)],
        position=array.array("d", np.concatenate(positions).tobytes() if positions else b""),
    )


def to_shape_mesh(vertices: FloatArray, faces: FloatArray) -> Mesh:
    """shape_msgs/Mesh of a hand, for any package that takes collision geometry.

    Args:
        vertices: (V, 3) metres, of a hand or reshaped from a HandMesh.
        faces: (F, 3) likewise.
    """
    indices = np.ascontiguousarray(faces, np.uint32)
    return Mesh(triangles=list(_triangles(indices.tobytes())), vertices=_points(vertices))


@lru_cache(maxsize=8)  # the faces of a hand model are always the same, and their messages take milliseconds
def _triangles(indices: bytes) -> tuple[MeshTriangle, ...]:
    faces = np.frombuffer(indices, np.uint32).reshape(-1, 3)
    return tuple(MeshTriangle(vertex_indices=face) for face in faces)


_POINT_SETTINGS = tuple((slot, getattr(Point(), slot)) for slot in Point.__slots__ if slot not in ("_x", "_y", "_z"))
"""Further slots of a point, ``_check_fields`` in recent distributions."""


def _points(positions: FloatArray) -> list[Point]:
    """Messages of points (N, 3). The slots are set directly, in a fifth of the time that the constructor takes."""
    points = []
    for x, y, z in np.asarray(positions, np.float64).tolist():
        point = Point.__new__(Point)
        point._x, point._y, point._z = x, y, z
        for slot, value in _POINT_SETTINGS:
            setattr(point, slot, value)
        points.append(point)
    return points


def to_inter_hand(relation: InterHand, header: Header, age: float, prefix: str) -> InterHandTransform:
    """Message of ``hands/inter_hand``.

    Args:
        age: of the image, seconds.
        prefix: the parameter ``frame_prefix``.
    """
    return InterHandTransform(
        header=header,
        age=age,
        person=relation.person,
        right_frame=hand_frame_name(prefix, Side.RIGHT, relation.person),
        left_frame=hand_frame_name(prefix, Side.LEFT, relation.person),
        transform=to_transform(relation.pose),
        covariance=relation.covariance.reshape(-1),
        distance=float(relation.distance),
        distance_std=float(relation.distance_std),
        closest_right=_point(relation.closest_right),
        closest_left=_point(relation.closest_left),
        confidence=float(relation.confidence),
    )


def to_points(hands: Hands, header: Header) -> PointCloud2:
    """Message of ``hands/points``: vertices of all hands, with their side. Raises: see :func:`require_metric`."""
    require_metric(hands)
    points = np.empty(sum(len(hand.vertices) for hand in hands.hands), POINT_DTYPE)
    rows = points.view(np.float32).reshape(-1, 4)  # x, y, z and the four bytes of side
    start = 0
    for hand in hands.hands:
        end = start + len(hand.vertices)
        rows[start:end, :3] = hand.vertices
        points["side"][start:end] = hand.side
        start = end
    return create_cloud(header, points)


def to_image(image: ImageArray, header: Header) -> Image:
    """rgb8 message of an image (H, W, 3) uint8."""
    height, width, channels = image.shape
    return Image(
        header=header,
        height=height,
        width=width,
        encoding="rgb8",
        is_bigendian=0,
        step=width * channels,
        data=array.array("B", image.tobytes()),
    )


def to_transform(pose: Pose) -> Transform:
    """Transform with the position and orientation of a pose."""
    x, y, z = pose.position.tolist()
    return Transform(translation=Vector3(x=x, y=y, z=z), rotation=_quaternion(pose))


def _joints(hand: Hand, pose: Pose, quality: Quality) -> HandJoints:
    return HandJoints(
        **_common_fields(hand, pose),
        covariance=quality.covariance.reshape(-1),
        joints=[Point(x=x, y=y, z=z) for x, y, z in hand.joints.tolist()],
        joint_std=hand.joint_std.astype(np.float32),
        visibility=quality.visibility,
        joints_2d=hand.joints_2d.astype(np.float32).reshape(-1),
    )


def _mesh(hand: Hand, pose: Pose) -> HandMesh:
    return HandMesh(
        **_common_fields(hand, pose),
        vertices=array.array("f", hand.vertices.astype(np.float32).tobytes()),
        triangles=array.array("I", hand.faces.astype(np.uint32).tobytes()),
    )


def _common_fields(hand: Hand, pose: Pose) -> dict[str, Any]:
    """Leading fields of both messages of a hand."""
    return {
        "side": int(hand.side),
        "person": hand.person,
        "track_id": hand.track_id,
        "presence": float(hand.presence),
        "size_source": int(hand.size_source),
        "pose": to_pose(pose),
    }


def to_pose(pose: Pose) -> PoseMessage:
    """Message of a pose."""
    return PoseMessage(position=_point(pose.position), orientation=_quaternion(pose))


def _quaternion(pose: Pose) -> Quaternion:
    x, y, z, w = pose.quaternion.tolist()
    return Quaternion(x=x, y=y, z=z, w=w)


def _point(position: FloatArray) -> Point:
    x, y, z = position.tolist()
    return Point(x=x, y=y, z=z)
