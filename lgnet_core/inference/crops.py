"""From a picture to the network's input, and its 2D answer back into the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from lgnet_core.camera import (
    crop_intrinsics,
    grid_to_pixels,
    invert_affine,
    project_distorted,
    transform_points,
    undistort_points,
    virtual_intrinsics,
    warp,
)
from lgnet_core.types import Camera, FloatArray

GRID_STRIDE = 32  # pixels of the crop per cell of the network's 2.5D grid


@dataclass(frozen=True, eq=False)
class Crops:
    """A batch of square crops of one picture.

    Shapes:
        images: (N, 3, S, S) float32 RGB in [0, 1].
        intrinsics: (N, 3, 3) float32 K of each crop, pixels; the virtual camera's where the picture has none.
        affines: (N, 2, 3) pixels of the picture -> pixels of the crop.
        turns: (N, 3, 3) R_z, camera frame of the picture -> camera frame of the crop.

    Args:
        longer_side: of the picture that they were cut from, pixels.
    """

    images: FloatArray
    intrinsics: FloatArray
    affines: FloatArray
    turns: FloatArray
    longer_side: int

    def __len__(self) -> int:
        return len(self.images)

    def ray(self, k: int, pixel: FloatArray) -> FloatArray:
        """(3,) towards what a pixel (2,) of the picture shows, in the axes of the k-th crop, depth 1."""
        u, v = transform_points(self.affines[k], pixel[None])[0]
        return np.linalg.solve(self.intrinsics[k].astype(np.float64), np.array([u, v, 1.0]))


def cut_crops(image: FloatArray, camera: Camera | None, affines: FloatArray, size: int) -> Crops:
    """Cut a batch of crops.

    Args:
        image: RGB, uint8.
        camera: the picture's camera; None: every crop gets the virtual camera.
        affines: pixels of the picture -> pixels of each crop.
        size: S, side of the crops, pixels.

    Shapes:
        image: (H, W, 3); affines: (N, 2, 3).
    """
    count = len(affines)
    images = np.empty((count, 3, size, size), np.float32)
    intrinsics, turns = np.empty((count, 3, 3), np.float32), np.empty((count, 3, 3))
    centre = np.full(2, (size - 1) / 2)
    for k, affine in enumerate(affines):
        np.multiply(_cut(image, affine, size).transpose(2, 0, 1), np.float32(1 / 255), out=images[k])
        if camera is None:
            _, turns[k] = crop_intrinsics(affine, np.eye(3))
            intrinsics[k] = virtual_intrinsics(size)
        else:
            local = local_intrinsics(camera, transform_points(invert_affine(affine), centre))
            intrinsics[k], turns[k] = crop_intrinsics(affine, local)
    return Crops(images, intrinsics, np.asarray(affines), turns, max(image.shape[:2]))


def joints_in_picture(joints_grid: Tensor, crops: Crops) -> FloatArray:
    """The network's 2.5D joints as pixels of the picture.

    Shapes:
        joints_grid: (N, 2, 21, 3) cells; returns (N, 2, 21, 2).
    """
    size = crops.images.shape[-1]
    pixels = grid_to_pixels(joints_grid[..., :2].double(), size, size // GRID_STRIDE).numpy()
    return np.stack([transform_points(invert_affine(a), p) for a, p in zip(crops.affines, pixels)])


def local_intrinsics(camera: Camera, pixel: FloatArray, step: float = 1e-3) -> FloatArray:
    r"""The pinhole that a distorted camera resembles around one pixel; K itself where there is no distortion.

    First order of the projection pi around the ray r of the pixel p: u = p + J (x - r), J = d pi / d x, so
    K = [J | p - J r]. The network draws its mesh into the crop with it, while the picture stays distorted.

    Args:
        pixel: a place in the picture; moved to its border if it lies outside, where no calibration holds.
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
    """:func:`lgnet_core.camera.warp` of the part of a picture that a crop sees: no more of a large picture is read."""
    height, width = image.shape[:2]
    edge = size - 0.5
    corners = transform_points(
        invert_affine(affine), np.array([[-0.5, -0.5], [edge, -0.5], [-0.5, edge], [edge, edge]])
    )
    pixels_per_cell = 1 / np.sqrt(np.linalg.det(affine[:, :2]))
    border = 2 * max(pixels_per_cell, 1.0) + 1  # beyond the reach of averaging and of bilinear sampling
    low = np.clip(np.floor(corners.min(0) - border), 0, [width, height]).astype(int)
    high = np.clip(np.ceil(corners.max(0) + border) + 1, 0, [width, height]).astype(int)
    if (high <= low).any():
        return np.zeros((size, size, 3), np.uint8)
    shifted = np.column_stack([affine[:, :2], affine[:, :2] @ low + affine[:, 2]])
    return warp(image[low[1] : high[1], low[0] : high[0]], shifted, size)
