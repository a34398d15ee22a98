"""How the two hands stand to each other: the transform between their frames, and the closest points of their skins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from lgnet_core.geometry.hand_frame import Pose
from lgnet_core.geometry.mesh_distance import surface_distance
from lgnet_core.types import FloatArray, Side, TwoHands


class InterHand(NamedTuple):
    """The left hand as seen from the right one.

    Args:
        pose: ``T_right_left``, takes points of the left hand's frame into the right hand's: what TF's
            ``lookup_transform(hand_right, hand_left)`` gives. Metres, unit quaternion.
        distance: metres between the two surfaces; 0 where they touch or intersect.
        closest_right, closest_left: (3,) metres, camera frame: the points of the two surfaces that are so close.
        confidence: probability in [0, 1] that both hands are in the image, the product of their presences.
    """

    pose: Pose
    distance: float
    closest_right: FloatArray
    closest_left: FloatArray
    confidence: float


def inter_hand(hands: TwoHands, poses: Mapping[Side, Pose]) -> InterHand | None:
    """The two hands' relation; None unless both were seen and stand in the camera frame.

    The distance is exact for the meshes (:func:`lgnet_core.geometry.mesh_distance.surface_distance`), which are
    themselves millimetres to centimetres off the hands.

    Args:
        poses: of the hands that were seen, :meth:`lgnet_core.geometry.hand_frame.HandFrames.poses`.
    """
    if hands.right is None or hands.left is None or not hands.metric:
        return None
    nearest = surface_distance(hands.right.vertices, hands.right.faces, hands.left.vertices, hands.left.faces)
    return InterHand(
        pose=relative_pose(poses[Side.RIGHT], poses[Side.LEFT]),
        distance=nearest.distance,
        closest_right=nearest.a,
        closest_left=nearest.b,
        confidence=hands.right.presence * hands.left.presence,
    )


def relative_pose(right: Pose, left: Pose) -> Pose:
    """``T_right_left`` of two frames in the camera's: [R_R^T R_L | R_R^T (p_L - p_R)]."""
    (a, b, c, d), (x, y, z, w) = (pose.quaternion.tolist() for pose in (right, left))
    turn = np.array(  # the right one's inverse, (-a, -b, -c, d), times the left one
        [
            d * x - a * w - b * z + c * y,
            d * y + a * z - b * w - c * x,
            d * z - a * y + b * x - c * w,
            d * w + a * x + b * y + c * z,
        ]
    )
    return Pose(right.rotation.T @ (left.position - right.position), turn if turn[3] >= 0 else -turn)
