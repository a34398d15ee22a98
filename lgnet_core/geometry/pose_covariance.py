r"""Covariance of estimated hand poses: what the image leaves open, calibrated on held-out images.

Errors of a hand's position p in the camera frame have two parts. The image fixes the hand up to a factor about the
camera's centre, so that the relative error of that factor, :math:`\sigma_s`, moves p along its ray; across the ray the
error is much smaller:

.. math:: \Sigma_p = \sigma_s^2 \, p p^T + \sigma_l^2 \, (I - r r^T), \qquad r = p / |p|

The errors of the rotation follow from those of the knuckles, which span the palm: with their positions x relative to
the wrist and the predicted standard deviations :math:`\sigma_x`, a rotation by the small vector w moves them by
:math:`w \times x`, hence

.. math:: \Sigma_w = k^2 \Big( I + \sum_x (|x|^2 I - x x^T) / \sigma_x^2 \Big)^{-1}

All three follow the network's predicted standard deviations, by factors that were calibrated
(:class:`CovarianceModel`). Errors of position and rotation are taken as independent. A pose error is
(dx, dy, dz, wx, wy, wz): the true position is p + d, the true rotation exp([w]) R, both in the axes of the camera.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lgnet_core.geometry.hand_frame import Pose
from lgnet_core.types import WRIST, FloatArray, Hand, Side, SizeSource, TwoHands

KNUCKLES = [5, 9, 13, 17]
"""Joints whose errors give those of the rotation."""

MAX_SCALE_STD = 0.5
"""Of hands that point at the camera, whose lateral extent says nothing about their distance."""


@dataclass(frozen=True)
class CovarianceModel:
    """Factors from the network's standard deviations to those of the pose.

    They were chosen so that 95.4 % of the errors are within two standard deviations on the 148 large visible hands of
    200 synthetic images (seed 20262): errors have heavy tails, and whoever keeps a distance to a hand needs the tails.

    Args:
        scale: standard deviation of the scale over the relative uncertainty of a hand, which is the root mean square of
            its joints' standard deviations over that of its lateral extent. Indexed by :class:`SizeSource`. A given
            length does not make the depth more certain than the predicted size does: the errors of the predicted pose
            dominate both. For earlier depth maps: measured on ten moving sequences with former weights, and
            multiplied like the first since.
        scale_correlation: of the errors of two hands in one image, without depth maps: 0.5 to 0.6 was measured.
        lateral: standard deviation across the ray over the root mean square of the joints' standard deviations.
        rotation: k.
    """

    scale: tuple[float, ...] = (0.334, 0.334, 0.055, 0.173)
    scale_correlation: float = 0.5
    lateral: float = 0.80
    rotation: float = 2.28


_MODEL = CovarianceModel()


class HandUncertainty(NamedTuple):
    """Standard deviations of one hand's errors, from which all covariances follow.

    Args:
        scale: relative, of the factor about the camera's centre. lateral: metres, across the ray.
        rotation: (3, 3) covariance of the rotation vector in camera axes, radians².
    """

    scale: float
    lateral: float
    rotation: FloatArray


def hand_uncertainty(hand: Hand) -> HandUncertainty:
    """Uncertainty of a metric hand."""
    std = np.maximum(hand.joint_std, 1e-6)
    deviation = float(np.sqrt((std[1:] ** 2).mean()))  # without the wrist, the origin of the others
    ray = _unit(hand.joints[WRIST])
    offsets = hand.joints - hand.joints.mean(0)
    extent = np.sqrt(((offsets - np.outer(offsets @ ray, ray)) ** 2).sum(-1).mean())
    scale = min(_MODEL.scale[hand.size_source] * deviation / max(float(extent), 1e-9), MAX_SCALE_STD)
    arms = hand.joints[KNUCKLES] - hand.joints[WRIST]
    information = ((arms**2).sum(-1) / std[KNUCKLES] ** 2).sum() * np.eye(3) - (
        arms / std[KNUCKLES, None] ** 2
    ).T @ arms
    rotation = _MODEL.rotation**2 * np.linalg.inv(information + np.eye(3))  # a prior of one radian
    return HandUncertainty(scale, _MODEL.lateral * deviation, (rotation + rotation.T) / 2)


def pose_covariance(hand: Hand) -> FloatArray:
    """Covariance (6, 6) of a metric hand's pose in camera axes: position (metres), then rotation vector (radians)."""
    return _pose_covariance(hand.joints[WRIST], hand_uncertainty(hand))


def relative_pose_covariance(
    right: Pose, left: Pose, uncertainties: Mapping[Side, HandUncertainty], scale_correlation: float
) -> FloatArray:
    """Covariance (6, 6) of ``T_right_left`` in the axes of the right hand: translation, then rotation vector.

    Args:
        right, left: hand frames.
        scale_correlation: of the two hands, see :func:`scale_correlation`.
    """
    both = np.zeros((12, 12))  # errors of the right pose, then of the left one
    both[:6, :6] = _pose_covariance(right.position, uncertainties[Side.RIGHT])
    both[6:, 6:] = _pose_covariance(left.position, uncertainties[Side.LEFT])
    common = scale_correlation * uncertainties[Side.RIGHT].scale * uncertainties[Side.LEFT].scale
    both[:3, 6:9] = common * np.outer(right.position, left.position)
    both[6:9, :3] = both[:3, 6:9].T
    jacobian = np.zeros((6, 12))
    jacobian[:3, :3], jacobian[:3, 6:9] = -np.eye(3), np.eye(3)
    jacobian[:3, 3:6] = _cross_matrix(left.position - right.position)
    jacobian[3:, 3:6], jacobian[3:, 9:] = -np.eye(3), np.eye(3)
    axes = np.kron(np.eye(2), right.rotation.T)
    jacobian = axes @ jacobian
    covariance: FloatArray = jacobian @ both @ jacobian.T
    return (covariance + covariance.T) / 2


def distance_std(
    hands: TwoHands,
    closest: Mapping[Side, FloatArray],
    uncertainties: Mapping[Side, HandUncertainty],
    scale_correlation: float,
) -> float:
    """Standard deviation of the distance between the closest points of two hands, metres.

    A point moves with its hand's scale, position and rotation, and with the nearest joint relative to the wrist. Where
    the hands touch, the direction between the wrists is used.

    Shapes:
        closest: (3,) metres, camera frame, of each hand.
    """
    gap = closest[Side.LEFT] - closest[Side.RIGHT]
    if np.linalg.norm(gap) < 1e-4:
        wrists = {hand.side: hand.joints[WRIST] for hand in hands.hands}
        gap = wrists[Side.LEFT] - wrists[Side.RIGHT]
    direction = _unit(gap)
    variance, along = 0.0, []
    for hand in hands.hands:
        uncertainty, point = uncertainties[hand.side], closest[hand.side]
        arm = np.cross(point - hand.joints[WRIST], direction)  # the rotation vector w moves the point by w @ arm
        across = 1 - float(direction @ _unit(point)) ** 2
        joint = hand.joint_std[np.linalg.norm(hand.joints - point, axis=1).argmin()]
        variance += uncertainty.lateral**2 * across + float(arm @ uncertainty.rotation @ arm) + float(joint) ** 2
        along.append(uncertainty.scale * float(direction @ point))
    right, left = along
    return float(np.sqrt(variance + right**2 + left**2 - 2 * scale_correlation * right * left))


def scale_correlation(hands: TwoHands) -> float:
    """Correlation of the errors of scale of two hands: depth maps measure each hand by itself."""
    measured = {SizeSource.DEPTH, SizeSource.EARLIER_DEPTH}
    return 0.0 if any(hand.size_source in measured for hand in hands.hands) else _MODEL.scale_correlation


def _pose_covariance(position: FloatArray, uncertainty: HandUncertainty) -> FloatArray:
    ray = _unit(position)
    covariance = np.zeros((6, 6))
    covariance[:3, :3] = uncertainty.scale**2 * np.outer(position, position)
    covariance[:3, :3] += uncertainty.lateral**2 * (np.eye(3) - np.outer(ray, ray))
    covariance[3:, 3:] = uncertainty.rotation
    return covariance


def _unit(vector: FloatArray) -> FloatArray:
    unit: FloatArray = vector / max(float(np.linalg.norm(vector)), 1e-12)
    return unit


def _cross_matrix(vector: FloatArray) -> FloatArray:
    """(3, 3) matrix of the cross product with a vector."""
    x, y, z = vector.tolist()
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
