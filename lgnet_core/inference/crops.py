"""Crops of an image, and the camera that sees them."""

from __future__ import annotations

import numpy as np

from lgnet_core.geometry.camera import (
    invert_affine,
    project_distorted,
    transform_points,
    undistort_points,
    warp,
)
from lgnet_core.types import Camera, FloatArray

VIRTUAL_FOCAL = 1.0
"""Focal length over an image's longer side where its camera is unknown: 53 degrees, a webcam's."""


def image_camera(image: FloatArray, camera: Camera | None) -> Camera:
    """The camera of an image (H, W, 3), or the one that stands in for an unknown one."""
    if camera is not None:
        return camera
    height, width = image.shape[:2]
    focal = VIRTUAL_FOCAL * max(width, height)
    matrix = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    return Camera(matrix, width, height)


def cut(image: FloatArray, affines: FloatArray, size: int) -> FloatArray:
    """Crops of an image, RGB in [0, 1], float32; black outside.

    Args:
        image: RGB, uint8. affines: pixels of the image -> pixels of each crop. size: S, side of the crops, pixels.

    Shapes:
        image: (H, W, 3); affines: (N, 2, 3); returns (N, 3, S, S).
    """
    images = np.empty((len(affines), 3, size, size), np.float32)
    for k, affine in enumerate(affines):
        np.multiply(_cut(image, affine, size).transpose(2, 0, 1), np.float32(1 / 255), out=images[k])
    return images


def local_intrinsics(camera: Camera, pixel: FloatArray, step: float = 1e-3) -> FloatArray:
    r"""The pinhole that a distorted camera resembles around one pixel; K itself where there is no distortion.

    First order of the projection pi around the ray r of the pixel p: u = p + J (x - r), J = d pi / d x, so
    K = [J | p - J r]. The network projects its mesh into the crop with it, while the image stays distorted.

    Args:
        pixel: a place in the image; moved to its border if it lies outside, where no calibration holds.
        step: of the central differences, in units of the ray (tangent of the angle).

    Shapes:
        pixel: (2,); returns (3, 3).
    """
    if not camera.distortion.any():
        return camera.matrix
    pixel = np.clip(pixel, -0.5, [camera.width - 0.5, camera.height - 0.5])
    straight = undistort_points(pixel[None], camera)[0]
    ray = np.linalg.solve(camera.matrix[:2, :2], straight - camera.matrix[:2, 2])
    around = np.array([[step, 0], [-step, 0], [0, step], [0, -step], [0, 0]]) + ray
    seen = project_distorted(np.column_stack([around, np.ones(5)]), camera)
    slope = np.stack([seen[0] - seen[1], seen[2] - seen[3]], axis=1) / (2 * step)  # (2, 2)
    local = np.eye(3)
    local[:2, :2], local[:2, 2] = slope, seen[4] - slope @ ray
    return local


def _cut(image: FloatArray, affine: FloatArray, size: int) -> FloatArray:
    """:func:`lgnet_core.geometry.camera.warp` of the part of an image that a crop shows: no more of a large image is
    read."""
    height, width = image.shape[:2]
    edge = size - 0.5
    corners = transform_points(
        invert_affine(affine), np.array([[-0.5, -0.5], [edge, -0.5], [-0.5, edge], [edge, edge]])
    )
    pixels_per_cell = 1 / np.sqrt(abs(np.linalg.det(affine[:, :2])))
    border = 2 * max(pixels_per_cell, 1.0) + 1  # beyond the reach of averaging and of bilinear sampling
    low = np.clip(np.floor(corners.min(0) - border), 0, [width, height]).astype(int)
    high = np.clip(np.ceil(corners.max(0) + border) + 1, 0, [width, height]).astype(int)
    if (high <= low).any():
        return np.zeros((size, size, 3), np.uint8)
    shifted = np.column_stack([affine[:, :2], affine[:, :2] @ low + affine[:, 2]])
    return warp(image[low[1] : high[1], low[0] : high[0]], shifted, size)
