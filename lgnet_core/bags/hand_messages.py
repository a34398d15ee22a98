"""Hands as the messages that the node publishes, of the classes that bags are written with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lgnet_core.bags.definitions import PACKAGE, Typestore
from lgnet_core.geometry.hand_frame import Pose
from lgnet_core.geometry.inter_hand import InterHand
from lgnet_core.geometry.pose_covariance import pose_covariance
from lgnet_core.geometry.visibility import joint_visibility
from lgnet_core.messages.names import hand_frame_name
from lgnet_core.types import Camera, FloatArray, Hand, HandKey, Hands, Side

JOINTS, MESH = f"{PACKAGE}/msg/HandJointsArray", f"{PACKAGE}/msg/HandMeshArray"
INTER_HAND, TRANSFORMS = f"{PACKAGE}/msg/InterHandTransform", "tf2_msgs/msg/TFMessage"
OVERLAY = "sensor_msgs/msg/CompressedImage"

Poses = Mapping[HandKey, Pose]


class HandMessages:
    """Makes the messages of one image; headers are those of the image, and hands must be metric.

    The age of the image at its publication is NaN, since a replay has no clock to compare its stamp with.

    Args:
        types: of the messages.
    """

    def __init__(self, types: Typestore) -> None:
        self._types = types.types

    def joints(self, hands: Hands, header: Any, poses: Poses, camera: Camera) -> Any:
        """Message of ``hands/joints``; ``camera``: of the image."""
        visibility = joint_visibility(hands, camera)
        joints = [self._joints(hand, poses[hand.key], visibility[hand.key]) for hand in hands.hands]
        return self._make(JOINTS, header=header, age=math.nan, hands=joints)

    def mesh(self, hands: Hands, header: Any, poses: Poses) -> Any:
        """Message of ``hands/mesh``."""
        meshes = [self._mesh(hand, poses[hand.key]) for hand in hands.hands]
        return self._make(MESH, header=header, age=math.nan, hands=meshes)

    def inter_hand(self, relation: InterHand, header: Any) -> Any:
        """Message of ``hands/inter_hand``."""
        return self._make(
            INTER_HAND,
            header=header,
            age=math.nan,
            person=relation.person,
            right_frame=hand_frame_name("", Side.RIGHT, relation.person),
            left_frame=hand_frame_name("", Side.LEFT, relation.person),
            transform=self._transform(relation.pose),
            covariance=relation.covariance.reshape(-1),
            distance=relation.distance,
            distance_std=relation.distance_std,
            closest_right=self._xyz("Point", relation.closest_right),
            closest_left=self._xyz("Point", relation.closest_left),
            confidence=relation.confidence,
        )

    def transforms(self, header: Any, poses: Poses) -> Any:
        """Message of ``/tf``."""
        stamped = "geometry_msgs/msg/TransformStamped"
        transforms = [
            self._make(
                stamped,
                header=header,
                child_frame_id=hand_frame_name("", side, person),
                transform=self._transform(pose),
            )
            for (person, side), pose in poses.items()
        ]
        return self._make(TRANSFORMS, transforms=transforms)

    def compressed_image(self, jpeg: bytes, header: Any) -> Any:
        """Message of ``hands/overlay/compressed``."""
        return self._make(
            OVERLAY, header=header, format="rgb8; jpeg compressed bgr8", data=np.frombuffer(jpeg, np.uint8)
        )

    def _joints(self, hand: Hand, pose: Pose, visibility: NDArray[np.uint8]) -> Any:
        return self._make(
            f"{PACKAGE}/msg/HandJoints",
            **self._common_fields(hand, pose),
            covariance=pose_covariance(hand).reshape(-1),
            joints=[self._xyz("Point", joint) for joint in hand.joints],
            joint_std=np.asarray(hand.joint_std, np.float32),
            visibility=visibility,
            joints_2d=np.asarray(hand.joints_2d, np.float32).reshape(-1),
        )

    def _mesh(self, hand: Hand, pose: Pose) -> Any:
        return self._make(
            f"{PACKAGE}/msg/HandMesh",
            **self._common_fields(hand, pose),
            vertices=np.asarray(hand.vertices, np.float32).reshape(-1),
            triangles=np.asarray(hand.faces, np.uint32).reshape(-1),
        )

    def _common_fields(self, hand: Hand, pose: Pose) -> dict[str, Any]:
        """Leading fields of both messages of a hand."""
        return {
            "side": int(hand.side),
            "person": hand.person,
            "track_id": hand.track_id,
            "presence": float(hand.presence),
            "size_source": int(hand.size_source),
            "pose": self._make(
                "geometry_msgs/msg/Pose",
                position=self._xyz("Point", pose.position),
                orientation=self._quaternion(pose),
            ),
        }

    def _transform(self, pose: Pose) -> Any:
        return self._make(
            "geometry_msgs/msg/Transform",
            translation=self._xyz("Vector3", pose.position),
            rotation=self._quaternion(pose),
        )

    def _quaternion(self, pose: Pose) -> Any:
        return self._make("geometry_msgs/msg/Quaternion", **dict(zip("xyzw", pose.quaternion.tolist())))

    def _xyz(self, kind: str, values: FloatArray) -> Any:
        return self._make(f"geometry_msgs/msg/{kind}", **dict(zip("xyz", np.asarray(values, np.float64).tolist())))

    def _make(self, name: str, **fields: Any) -> Any:
        # Constants such as HandJoints.RIGHT are fields with a default.
        return self._types[name](**fields)
