"""Square crops of images: affine transforms from image to crop, the intrinsics of a crop, and image warping."""

from __future__ import annotations

import cv2
import numpy as np
from array_api_compat import array_namespace

from lgnet_core.geometry.affine import transform_points
from lgnet_core.types import Array, FloatArray


def bounding_box(points: FloatArray) -> FloatArray:
    """(4,) left, top, right, bottom of points (N, 2), pixels."""
    return np.concatenate([points.min(0), points.max(0)])


def square_crop(box: FloatArray, size: int, margin: float = 1.25, rotation: float = 0.0) -> FloatArray:
    """Affine transform from an image to a square crop around a box.

    The side of the crop is the longer side of the box times ``margin`` (1.25: LGNet's half side of max extent / 2 /
    0.8) and its centre is the centre of the box, about which the image is rotated.

    Args:
        box: left, top, right, bottom, pixels.
        size: side of the crop, pixels.
        rotation: radians, clockwise as seen.

    Shapes:
        box: (4,); returns (2, 3), pixels of the image -> pixels of the crop, pixel centres at integers.

    Raises:
        ValueError: if the box is not finite or has no extent.
    """
    left, top, right, bottom = (float(x) for x in box)
    side = max(right - left, bottom - top) * margin
    if not np.isfinite(side) or side <= 0:
        raise ValueError(f"crop: box {np.asarray(box).tolist()} has no extent; give left < right and top < bottom")
    scale = size / side
    cos, sin = np.cos(rotation) * scale, np.sin(rotation) * scale
    linear = np.array([[cos, -sin], [sin, cos]])
    centre = np.array([(left + right) / 2, (top + bottom) / 2])
    return np.column_stack([linear, np.full(2, (size - 1) / 2) - linear @ centre])


def letterbox(width: int, height: int, size: int) -> FloatArray:
    """(2, 3) affine transform that fits a whole image into a square of ``size`` pixels, centred."""
    return square_crop(np.array([-0.5, -0.5, width - 0.5, height - 0.5]), size, margin=1.0)


def crop_intrinsics(affine: FloatArray, matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
    r"""Intrinsics of an unmirrored crop, and the rotation of its camera about the optical axis.

    An affine transform A = [s R | t] of the pixels of K is equivalent to rotating the camera about its optical axis:
    A K = K' R_z with K' = [s R K_2x2 R^T | A c]. Points and orientations in the camera frame are rotated by R_z.
    :func:`crop_projection` keeps the rotation inside the intrinsics instead.

    Shapes:
        affine: (2, 3); matrix: (3, 3); returns K' (3, 3) and R_z (3, 3).
    """
    linear = affine[:, :2]
    rotation_2d = linear / np.sqrt(np.linalg.det(linear))
    cropped, rotation = np.eye(3), np.eye(3)
    cropped[:2, :2] = linear @ matrix[:2, :2] @ rotation_2d.T
    cropped[:2, 2] = transform_points(affine, matrix[:2, 2])
    rotation[:2, :2] = rotation_2d
    return cropped, rotation


def crop_projection(affine: Array, intrinsics: Array) -> Array:
    """Intrinsics of crops in the unrotated camera axes: A K, its upper-left 2x2 block rotated and possibly mirrored.

    :func:`lgnet_core.geometry.camera.project` and ``backproject`` accept it like any other K.

    Shapes:
        affine: (..., 2, 3); intrinsics: (..., 3, 3); returns (..., 3, 3), pixels of the crop.
    """
    xp = array_namespace(affine, intrinsics)
    upper = affine @ intrinsics
    last = xp.broadcast_to(intrinsics[..., 2:, :], (*upper.shape[:-2], 1, 3))
    return xp.concat([upper, last], axis=-2)


def warp(image: FloatArray, affine: FloatArray, size: int) -> FloatArray:
    """Cut a crop out of an image (H, W[, C]) of any dtype: bilinear, area-averaged when shrinking, black outside."""
    scale = np.sqrt(abs(np.linalg.det(affine[:, :2])))
    if scale < 0.5:  # bilinear sampling alone would alias: downscale by area averaging first
        factor = 2 ** int(np.floor(-np.log2(scale)))
        height, width = (max(1, round(s / factor)) for s in image.shape[:2])
        small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        ratio = np.array([image.shape[1] / width, image.shape[0] / height])
        upscale = np.column_stack([np.diag(ratio), (ratio - 1) / 2])  # pixel centres of the small image in the full one
        linear = affine[:, :2] @ upscale[:, :2]
        affine = np.column_stack([linear, affine[:, :2] @ upscale[:, 2] + affine[:, 2]])
        image = small
    return cv2.warpAffine(image, affine, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
