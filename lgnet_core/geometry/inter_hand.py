"""Spatial relation of the two hands: the transform between their frames and the distance of their surfaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from lgnet_core.geometry.hand_frame import Pose
from lgnet_core.geometry.mesh_distance import surface_distance
from lgnet_core.geometry.pose_covariance import (
    distance_std,
    hand_uncertainty,
    relative_pose_covariance,
    scale_correlation,
)
from lgnet_core.types import FloatArray, HandKey, Side, TwoHands


class InterHand(NamedTuple):
    """The left hand relative to the right one.

    Args:
        person: index of the person.
        pose: ``T_right_left``, transforms points from the left hand frame to the right one, as TF's
            ``lookup_transform(hand_right, hand_left)``. Metres, unit quaternion.
        covariance: (6, 6) of the pose, in the axes of the right hand frame: position, metres, and rotation, radians.
        distance: metres between the two surfaces; 0 if they touch or intersect.
        distance_std: its standard deviation, metres.
        closest_right, closest_left: (3,) metres, camera frame: the closest points of the two surfaces.
        confidence: probability in [0, 1] that both hands are in the image, the product of their presences.
    """

    person: int
    pose: Pose
    covariance: FloatArray
    distance: float
    distance_std: float
    closest_right: FloatArray
    closest_left: FloatArray
    confidence: float


def inter_hand(hands: TwoHands, poses: Mapping[HandKey, Pose]) -> InterHand | None:
    """Compute the relation of a person's two hands; None unless both were detected and are in the camera frame.

    The distance is exact for the meshes (:func:`lgnet_core.geometry.mesh_distance.surface_distance`), whose own error
    is millimetres to centimetres.

    Args:
        poses: hand frames of the detected hands, :meth:`lgnet_core.geometry.hand_frame.HandFrames.poses`.
    """
    if hands.right is None or hands.left is None or not hands.metric:
        return None
    closest = surface_distance(hands.right.vertices, hands.right.faces, hands.left.vertices, hands.left.faces)
    uncertainties = {hand.side: hand_uncertainty(hand) for hand in hands.hands}
    correlation = scale_correlation(hands)
    right, left = poses[hands.right.key], poses[hands.left.key]
    return InterHand(
        person=hands.person,
        pose=relative_pose(right, left),
        covariance=relative_pose_covariance(right, left, uncertainties, correlation),
        distance=closest.distance,
        distance_std=distance_std(hands, {Side.RIGHT: closest.a, Side.LEFT: closest.b}, uncertainties, correlation),
        closest_right=closest.a,
        closest_left=closest.b,
        confidence=hands.right.presence * hands.left.presence,
    )


def relative_pose(right: Pose, left: Pose) -> Pose:
    """``T_right_left`` of two poses in the camera frame: [R_R^T R_L | R_R^T (p_L - p_R)]."""
    (a, b, c, d), (x, y, z, w) = (pose.quaternion.tolist() for pose in (right, left))
    quaternion = np.array(  # product of the inverse of the right one, (-a, -b, -c, d), and the left one
        [
            d * x - a * w - b * z + c * y,
            d * y + a * z - b * w - c * x,
            d * z - a * y + b * x - c * w,
            d * w + a * x + b * y + c * z,
        ]
    )
    return Pose(right.rotation.T @ (left.position - right.position), quaternion if quaternion[3] >= 0 else -quaternion)
