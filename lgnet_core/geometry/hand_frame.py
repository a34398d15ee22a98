"""The frame of a hand and of each of its joints: what TF, messages and the transform between the hands speak of.

The hand frame means the same on both hands: origin at the wrist, x towards the fingers (the knuckle of the middle
finger), z out of the palm, y = z x x. It is a proper rotation on both sides, so y leaves the right hand at the little
finger and the left hand at the thumb: mirrored hands (M = diag(-1, 1, 1)) have frames R' = M R diag(1, -1, 1).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from lgnet_core.hand_model import HandModel
from lgnet_core.hand_model.bones import to_camera
from lgnet_core.types import FloatArray, Hand, Side

_INDEX_KNUCKLE, _MIDDLE_KNUCKLE, _PINKY_KNUCKLE = 1, 4, 7  # MANO's joints

_TURN = (0, *(1 + 3 * finger + min(link, 2) for finger in range(5) for link in range(4)))
"""Which turn (:mod:`lgnet_core.hand_model.bones`) each of the 21 joints has: its own, a fingertip its parent's."""


class Pose(NamedTuple):
    """A frame in another one: ``T_camera_frame`` takes points of the frame into the camera's.

    Shapes:
        position: (3,) float64, metres; quaternion: (4,) float64 as (x, y, z, w), of length 1, w >= 0.
    """

    position: FloatArray
    quaternion: FloatArray

    @property
    def rotation(self) -> FloatArray:
        """(3, 3) rotation matrix of the quaternion; its columns are the frame's axes."""
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
        """Of a rotation matrix (3, 3), which float32 may have rounded."""
        return cls(np.array(position, np.float64), quaternion(rotation))


def hand_axes(rest_joints: Tensor) -> Tensor:
    """The hand frame's axes as columns, in the axes of the rest pose.

    Shapes:
        rest_joints: (2, 16, 3), MANO's order; returns (2, 3, 3), one proper rotation per side.
    """
    x = normalize(rest_joints[:, _MIDDLE_KNUCKLE] - rest_joints[:, 0], dim=-1)
    across = rest_joints[:, _INDEX_KNUCKLE] - rest_joints[:, _PINKY_KNUCKLE]
    handed = rest_joints.new_tensor([[1.0], [-1.0]])  # a mirror turns the cross product round
    z = normalize(torch.linalg.cross(across, x) * handed, dim=-1)
    return torch.stack([x, torch.linalg.cross(z, x), z], -1)


class HandFrames:
    """Poses of hands and of their joints.

    Args:
        hand_model: the one that the hands were estimated with; its rest pose says where fingers and palm point.

    Attributes:
        axes: (2, 3, 3) float64, :func:`hand_axes` of the hand model.
    """

    def __init__(self, hand_model: HandModel) -> None:
        self.axes = hand_axes(hand_model.rest_joints.detach().cpu().double()).numpy()

    def pose(self, hand: Hand) -> Pose:
        """The hand frame in the frame of ``hand.joints``."""
        return Pose.from_matrix(hand.joints[0], hand.rotations[0] @ self.axes[hand.side])

    def poses(self, hands: Iterable[Hand]) -> dict[Side, Pose]:
        """The frame of each of an image's hands, by side."""
        return {hand.side: self.pose(hand) for hand in hands}

    def joint_poses(self, hand: Hand) -> list[Pose]:
        """A pose for each of the 21 joints (OpenPose's order), in the frame of ``hand.joints``.

        The wrist's is :meth:`pose`. A joint's axes are the hand frame's, turned with its bone: in the model's rest pose
        all 21 are parallel. A fingertip, which has no rotation of its own, takes its parent's.
        """
        turns = to_camera(np.asarray(hand.rotations, np.float64))[list(_TURN)] @ self.axes[hand.side]  # (21, 3, 3)
        return [Pose.from_matrix(place, turn) for place, turn in zip(hand.joints, turns)]


def quaternion(rotation: FloatArray) -> FloatArray:
    """The unit quaternion (4,) = (x, y, z, w), w >= 0, of a rotation matrix (3, 3), which may be rounded.

    A matrix's entries sum up to 4 q_i q_j for each two components; taken are those with the largest, which are the most
    exact (Shepperd, "Quaternion from Rotation Matrix", 1978). In plain numbers: for the few rotations of an image
    libraries for whole batches take many times as long.
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
