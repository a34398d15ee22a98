"""Where the hands stand in the camera's frame, from what was predicted about each of them."""

from __future__ import annotations

import numpy as np

from lgnet_core.geometry.camera import place_hands, undistort_points
from lgnet_core.types import Camera, FloatArray

RELATIVE_STD = 0.03
"""Metres: how far the predicted relative translation is trusted (published networks err by 26 to 32 mm)."""

STD_RANGE = (1e-3, 0.2)  # metres: keeps one overconfident joint from deciding alone
NEAREST = 0.05  # metres: no joint of a hand in view is nearer to the camera
FEWEST_SEEN = 4  # joints inside the image without which the ones outside are asked too


def place_in_camera(
    joints: FloatArray,
    pixels: FloatArray,
    std: FloatArray,
    camera: Camera,
    relative_translation: FloatArray | None = None,
) -> FloatArray:
    """Camera-frame positions of the wrists, from 3D joints, 2D joints and their uncertainty.

    The weighted least squares of :func:`lgnet_core.geometry.camera.place_hands`; the weight of a joint is 1 / std, and
    0 outside the image, where the network guesses. A hand whose 3D and 2D joints fit so badly that it would reach
    behind the camera is placed by its size alone, :func:`place_by_size`.

    Args:
        joints: wrist-relative, metres, camera axes.
        pixels: the same joints in the (distorted) image.
        std: predicted standard deviation of each joint, metres.
        relative_translation: wrist_left - wrist_right, metres; for two hands (right, left) that share a crop.

    Shapes:
        joints: (H, 21, 3); pixels: (H, 21, 2); std: (H, 21); relative_translation: (3,); returns (H, 3) metres.
    """
    weights = 1 / np.clip(std, *STD_RANGE)
    border = np.array([camera.width - 0.5, camera.height - 0.5])
    inside = np.all((pixels >= -0.5) & (pixels <= border), axis=-1)  # (H, 21)
    ask_all = inside.sum(-1, keepdims=True) < FEWEST_SEEN
    weights = np.where(inside | ask_all, weights, 0.0)
    straight = undistort_points(pixels.reshape(-1, 2), camera).reshape(pixels.shape)
    wrists = place_hands(joints, straight, camera.matrix, weights, relative_translation, 1 / RELATIVE_STD)
    for k in range(len(joints)):
        if wrists[k, 2] + joints[k, :, 2].min() < NEAREST:
            wrists[k] = place_by_size(joints[k], straight[k], camera.matrix)
    return wrists


def place_by_size(joints: FloatArray, pixels: FloatArray, intrinsics: FloatArray) -> FloatArray:
    """Wrist of one hand by scaled orthography: its depth is its width in metres over its width in rays.

    Coarser than :func:`lgnet_core.geometry.camera.place_hands` but always in front of the camera.

    Shapes:
        joints: (21, 3) wrist-relative metres; pixels: (21, 2) undistorted; intrinsics: (3, 3); returns (3,) metres.
    """
    rays = (pixels - intrinsics[:2, 2]) @ np.linalg.inv(intrinsics[:2, :2]).T
    centre, middle = joints.mean(0), rays.mean(0)
    spread = np.sqrt(((rays - middle) ** 2).sum(-1).mean())
    depth = np.sqrt(((joints - centre)[:, :2] ** 2).sum(-1).mean()) / max(spread, 1e-6)
    depth = max(depth, NEAREST + centre[2] - joints[:, 2].min())
    return np.append(middle * depth, depth) - centre
