"""Least-squares placement of hands in the camera frame, from wrist-relative 3D joints and their 2D projections."""

from __future__ import annotations

import numpy as np

from lgnet_core.geometry.camera import pixel_rays, undistort_points
from lgnet_core.types import Camera, FloatArray

RELATIVE_TRANSLATION_STD = 0.03
"""Metres: assumed error of the predicted relative translation (published networks err by 26 to 32 mm)."""

IMAGE_JOINT_STD = 0.008
"""Metres: assumed error of a 2D joint at the hand's distance, per axis (11 px of 256 on synthetic images). Added to the
predicted deviations, which are relative to the wrist and thus nearly 0 there: its pixel must not decide alone."""

MAX_JOINT_STD = 0.2
"""Metres: larger predicted deviations are limited to it."""

MIN_DEPTH = 0.05
"""Metres: no joint of a visible hand is nearer to the camera."""

MIN_JOINTS_INSIDE = 4
"""With fewer joints inside the image, the joints outside it are used as well."""


def place_in_camera(
    joints: FloatArray,
    pixels: FloatArray,
    std: FloatArray,
    camera: Camera,
    relative_translation: FloatArray | None = None,
) -> FloatArray:
    """Wrist positions in the camera frame, from 3D joints, 2D joints and their uncertainty.

    Weighted least squares, :func:`place_hands`; the weight of a joint is the inverse of its deviation, in 3D and in the
    image, and 0 outside the image, where the network extrapolates. A hand whose 3D and 2D joints are so inconsistent
    that it would reach behind the camera is placed by scaled orthography, :func:`place_by_scaled_orthography`.

    Args:
        joints: wrist-relative, metres, camera axes.
        pixels: the same joints in the (distorted) image.
        std: predicted standard deviation of each joint, metres.
        relative_translation: wrist_left - wrist_right, metres; for two hands (right, left) that share a crop.

    Shapes:
        joints: (H, 21, 3); pixels: (H, 21, 2); std: (H, 21); relative_translation: (3,); returns (H, 3) metres.
    """
    weights = 1 / np.hypot(np.minimum(std, MAX_JOINT_STD), IMAGE_JOINT_STD)
    border = np.array([camera.width - 0.5, camera.height - 0.5])
    inside = np.all((pixels >= -0.5) & (pixels <= border), axis=-1)  # (H, 21)
    too_few = inside.sum(-1, keepdims=True) < MIN_JOINTS_INSIDE
    weights = np.where(inside | too_few, weights, 0.0)
    undistorted = undistort_points(pixels.reshape(-1, 2), camera).reshape(pixels.shape)
    wrists = place_hands(
        joints, undistorted, camera.matrix, weights, relative_translation, 1 / RELATIVE_TRANSLATION_STD
    )
    for k in range(len(joints)):
        if wrists[k, 2] + joints[k, :, 2].min() < MIN_DEPTH:
            wrists[k] = place_by_scaled_orthography(joints[k], undistorted[k], camera.matrix)
    return wrists


def place_hands(
    joints: FloatArray,
    pixels: FloatArray,
    intrinsics: FloatArray,
    weights: FloatArray,
    relative_translation: FloatArray | None = None,
    relative_weight: float = 0.0,
) -> FloatArray:
    r"""Wrist positions in the camera frame: one linear weighted least-squares problem over all hands.

    A wrist-relative joint X of a hand with wrist W projects to p: with the ray r = K^{-1} (p, 1),
    (X + W)_xy - r_xy (X + W)_z = 0, two equations linear in W per joint. The residuals are metres perpendicular to the
    optical axis; ``relative_weight`` weights W_left - W_right = relative_translation, in metres too.

    Args:
        joints: wrist-relative, metres, camera axes.
        pixels: undistorted pixels of the same joints.
        intrinsics: K, pixels.
        weights: per joint (1 / standard deviation in metres, 0 = ignore).
        relative_translation: used for two hands only.

    Shapes:
        joints: (H, N, 3); pixels: (H, N, 2); intrinsics: (3, 3); weights: (H, N); relative_translation: (3,);
        returns (H, 3) metres.

    Raises:
        ValueError: if a hand has fewer than two joints of non-zero weight.
    """
    count = len(joints)
    if (np.count_nonzero(weights, axis=1) < 2).any():
        raise ValueError("place_hands: a hand needs at least two joints with a weight above 0")
    rays = pixel_rays(pixels, intrinsics)
    rows, targets = [], []
    for k in range(count):
        rhs = (rays[k] * joints[k, :, 2:] - joints[k, :, :2]) * weights[k, :, None]
        for axis in range(2):
            block = np.zeros((joints.shape[1], 3 * count))
            block[:, 3 * k + axis] = weights[k]
            block[:, 3 * k + 2] = -rays[k, :, axis] * weights[k]
            rows.append(block)
            targets.append(rhs[:, axis])
    if count == 2 and relative_translation is not None:
        rows.append(relative_weight * np.hstack([-np.eye(3), np.eye(3)]))
        targets.append(relative_weight * relative_translation)
    solution, *_ = np.linalg.lstsq(np.vstack(rows), np.concatenate(targets), rcond=None)
    return solution.reshape(count, 3)


def place_by_scaled_orthography(joints: FloatArray, pixels: FloatArray, intrinsics: FloatArray) -> FloatArray:
    """Wrist of one hand by scaled orthography: its depth is its extent in metres over its extent in ray coordinates.

    Coarser than :func:`place_hands`, but always in front of the camera.

    Shapes:
        joints: (21, 3) wrist-relative metres; pixels: (21, 2) undistorted; intrinsics: (3, 3); returns (3,) metres.
    """
    rays = pixel_rays(pixels, intrinsics)
    joint_mean, ray_mean = joints.mean(0), rays.mean(0)
    ray_extent = np.sqrt(((rays - ray_mean) ** 2).sum(-1).mean())
    depth = np.sqrt(((joints - joint_mean)[:, :2] ** 2).sum(-1).mean()) / max(ray_extent, 1e-6)
    depth = max(depth, MIN_DEPTH + joint_mean[2] - joints[:, 2].min())
    return np.append(ray_mean * depth, depth) - joint_mean
