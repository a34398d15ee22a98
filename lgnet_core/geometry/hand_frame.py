"""Coordinate frames of hands and joints, as published on TF and in messages.

The hand frame has the same meaning on both hands: origin at the wrist, x towards the middle finger's knuckle, z out of
the palm, y = z x x. It is a proper rotation on both sides, so y points to the little finger on the right hand and to
the thumb on the left: mirrored hands (M = diag(-1, 1, 1)) have frames R' = M R diag(1, -1, 1).

Poses are computed in numpy, quaternions in scalar arithmetic: lgnet_ros needs them for every image.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from array_api_compat import array_namespace, device

from lgnet_core.geometry.vectors import normalize
from lgnet_core.hand_model import HandModel
from lgnet_core.hand_model.bones import global_rotations
from lgnet_core.types import Array, FloatArray, Hand, HandKey

_INDEX_KNUCKLE, _MIDDLE_KNUCKLE, _PINKY_KNUCKLE = 1, 4, 7  # MANO joint indices

_ROTATION_OF_JOINT = (0, *(1 + 3 * finger + min(link, 2) for finger in range(5) for link in range(4)))
"""Index of the bone rotation (:mod:`lgnet_core.hand_model.bones`) of each of the 21 joints; a tip has its parent's."""


class Pose(NamedTuple):
    """Pose of a frame in another frame: ``T_camera_frame`` transforms points of the frame into the camera frame.

    Shapes:
        position: (3,) float64, metres; quaternion: (4,) float64 unit quaternion (x, y, z, w), w >= 0.
    """

    position: FloatArray
    quaternion: FloatArray

    @property
    def rotation(self) -> FloatArray:
        """(3, 3) rotation matrix of the quaternion; its columns are the axes of the frame."""
        x, y, z, w = self.quaternion.tolist()
        return np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
            ]
        )

    @classmethod
    def from_matrix(cls, position: FloatArray, rotation: FloatArray) -> Pose:
        """From a position and a rotation matrix (3, 3), of float32 precision or better."""
        return cls(np.array(position, np.float64), quaternion_from_matrix(rotation))


def hand_axes(rest_joints: Array) -> Array:
    """Axes of the hand frame as columns, in the axes of the rest pose.

    Shapes:
        rest_joints: (2, 16, 3), MANO's order; returns (2, 3, 3), one proper rotation per side.
    """
    xp = array_namespace(rest_joints)
    x = normalize(rest_joints[:, _MIDDLE_KNUCKLE] - rest_joints[:, 0])
    across = rest_joints[:, _INDEX_KNUCKLE] - rest_joints[:, _PINKY_KNUCKLE]
    # Mirroring negates the cross product.
    sign = xp.asarray([[1.0], [-1.0]], dtype=rest_joints.dtype, device=device(rest_joints))
    z = normalize(xp.linalg.cross(across, x) * sign)
    return xp.stack([x, xp.linalg.cross(z, x), z], axis=-1)


class HandFrames:
    """Poses of hands and of their joints.

    Args:
        hand_model: the model that the hands were estimated with; its rest pose defines the axes.

    Attributes:
        axes: (2, 3, 3) float64, :func:`hand_axes` of the hand model.
    """

    def __init__(self, hand_model: HandModel) -> None:
        self.axes = hand_axes(np.asarray(hand_model.rest_joints, np.float64))

    def pose(self, hand: Hand) -> Pose:
        """The hand frame in the frame of ``hand.joints``."""
        return Pose.from_matrix(hand.joints[0], hand.rotations[0] @ self.axes[hand.side])

    def poses(self, hands: Iterable[Hand]) -> dict[HandKey, Pose]:
        """The hand frames of the hands of an image."""
        return {hand.key: self.pose(hand) for hand in hands}

    def joint_poses(self, hand: Hand) -> list[Pose]:
        """Poses of the 21 joints (OpenPose's order) in the frame of ``hand.joints``; the first is :meth:`pose`.

        The axes of a joint are those of the hand frame, rotated with its bone: in the rest pose of the model all 21 are
        parallel. A fingertip, which has no rotation, takes that of its parent.
        """
        rotations = global_rotations(np.asarray(hand.rotations, np.float64))
        axes = rotations[list(_ROTATION_OF_JOINT)] @ self.axes[hand.side]  # (21, 3, 3)
        return [Pose.from_matrix(position, rotation) for position, rotation in zip(hand.joints, axes)]


def quaternion_from_matrix(rotation: FloatArray) -> FloatArray:
    """Unit quaternion (4,) = (x, y, z, w), w >= 0, of a rotation matrix (3, 3) of float32 precision or better.

    Sums of matrix entries give 4 q_i q_j for each pair of components; the row of the largest component is used, as the
    most accurate one (Shepperd, "Quaternion from Rotation Matrix", 1978). Scalar arithmetic: for the few rotations of
    an image, batched libraries such as roma and scipy take many times as long.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation.tolist()
    largest = max(xx, yy, zz, xx + yy + zz)
    if largest == xx:
        components = 1 + xx - yy - zz, xy + yx, xz + zx, zy - yz
    elif largest == yy:
        components = xy + yx, 1 - xx + yy - zz, yz + zy, xz - zx
    elif largest == zz:
        components = xz + zx, yz + zy, 1 - xx - yy + zz, yx - xy
    else:
        components = zy - yz, xz - zx, yx - xy, 1 + xx + yy + zz
    return np.array(components) / math.copysign(math.hypot(*components), components[3])
