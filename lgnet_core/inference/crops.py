"""Extraction of affine crops from an image as network inputs."""

from __future__ import annotations

import numpy as np

from lgnet_core.geometry.affine import invert_affine, transform_points
from lgnet_core.geometry.crops import warp
from lgnet_core.types import FloatArray, ImageArray


def extract_crops(image: ImageArray, affines: FloatArray, size: int) -> FloatArray:
    """Square crops of an image, RGB in [0, 1], float32; black outside the image.

    Args:
        image: RGB.
        affines: pixels of the image -> pixels of each crop.
        size: S, side of the crops, pixels.

    Shapes:
        image: (H, W, 3); affines: (N, 2, 3); returns (N, 3, S, S).
    """
    crops = np.empty((len(affines), 3, size, size), np.float32)
    for k, affine in enumerate(affines):
        np.multiply(_warp_window(image, affine, size).transpose(2, 0, 1), np.float32(1 / 255), out=crops[k])
    return crops


def _warp_window(image: ImageArray, affine: FloatArray, size: int) -> ImageArray:
    """:func:`lgnet_core.geometry.crops.warp` of the window of the image that the crop covers, to read no more of a
    large image than necessary."""
    height, width = image.shape[:2]
    edge = size - 0.5
    corners = transform_points(
        invert_affine(affine), np.array([[-0.5, -0.5], [edge, -0.5], [-0.5, edge], [edge, edge]])
    )
    image_pixels_per_crop_pixel = 1 / np.sqrt(abs(np.linalg.det(affine[:, :2])))
    border = 2 * max(image_pixels_per_crop_pixel, 1.0) + 1  # beyond the support of area averaging and interpolation
    low = np.clip(np.floor(corners.min(0) - border), 0, [width, height]).astype(int)
    high = np.clip(np.ceil(corners.max(0) + border) + 1, 0, [width, height]).astype(int)
    if (high <= low).any():
        return np.zeros((size, size, 3), np.uint8)
    shifted = np.column_stack([affine[:, :2], affine[:, :2] @ low + affine[:, 2]])
    return warp(image[low[1] : high[1], low[0] : high[0]], shifted, size)
