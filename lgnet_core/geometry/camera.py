r"""Pixels, crops, grids and the placement of both hands: every convention of the image plane, in one place.

Pixels: the centre of the top-left pixel is (0, 0); an image of width W spans [-0.5, W - 0.5]; its mirror is
u -> W - 1 - u. A grid of G cells over S pixels holds cell centres at integers: g = (u + 0.5) G / S - 0.5. The same rule
scales the depth box. :func:`torch.nn.functional.grid_sample` is always called with ``align_corners=False``, whose
coordinates are (2 u + 1) / W - 1.
"""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor

from lgnet_core.types import Camera, FloatArray

Array = TypeVar("Array", Tensor, FloatArray)

VIRTUAL_FOCAL_FACTOR = 2.5
"""Focal length over crop size where K is unknown: a 24 degree crop, about a hand and a half at 0.7 m."""


def pixels_to_grid(pixels: Tensor, image_size: float, grid_size: float) -> Tensor:
    """Pixel coordinates to grid cells, both with centres at integers: (u + 0.5) G / S - 0.5."""
    return (pixels + 0.5) * (grid_size / image_size) - 0.5


def grid_to_pixels(cells: Array, image_size: float, grid_size: float) -> Array:
    """Inverse of :func:`pixels_to_grid`."""
    return (cells + 0.5) * (image_size / grid_size) - 0.5


def depth_to_grid(depth: Tensor, box_size: float, grid_size: float) -> Tensor:
    """Wrist-relative depth in metres within a box of ``box_size`` metres centred on the wrist, to grid cells."""
    return (depth / box_size + 0.5) * grid_size - 0.5


def grid_to_depth(cells: Tensor, box_size: float, grid_size: float) -> Tensor:
    """Inverse of :func:`depth_to_grid`, metres."""
    return ((cells + 0.5) / grid_size - 0.5) * box_size


def pixels_to_normalised(pixels: Tensor, image_size: float) -> Tensor:
    """Pixel coordinates to the [-1, 1] of ``grid_sample(align_corners=False)``: (2 u + 1) / S - 1."""
    return (2.0 * pixels + 1.0) / image_size - 1.0


def normalised_to_pixels(normalised: Tensor, image_size: float) -> Tensor:
    """Inverse of :func:`pixels_to_normalised`."""
    return ((normalised + 1.0) * image_size - 1.0) / 2.0


def project(points: Tensor, intrinsics: Tensor, min_depth: float = 1e-2) -> Tensor:
    """Full-perspective projection without distortion.

    The upper-left 2x2 block of K is used whole, so that the K of a turned crop (which has off-diagonal entries where
    fx differs from fy) projects right.

    Args:
        points: camera frame, metres. Depths below ``min_depth`` are clamped, so that gradients stay finite.
        intrinsics: K, pixels.

    Shapes:
        points: (..., N, 3); intrinsics: (..., 3, 3) broadcastable to the leading dimensions; returns (..., N, 2).
    """
    rays = points[..., :2] / points[..., 2:].clamp_min(min_depth)
    return rays @ intrinsics[..., :2, :2].transpose(-1, -2) + intrinsics[..., None, :2, 2]


def determinant_2x2(matrix: Tensor) -> Tensor:
    """Of (..., 2, 2), in closed form: ONNX has no solver."""
    return matrix[..., 0, 0] * matrix[..., 1, 1] - matrix[..., 0, 1] * matrix[..., 1, 0]


def inverse_2x2(matrix: Tensor) -> Tensor:
    """Of (..., 2, 2), in closed form."""
    (a, b), (c, d) = (row.unbind(-1) for row in matrix.unbind(-2))
    adjugate = torch.stack([torch.stack([d, -b], -1), torch.stack([-c, a], -1)], -2)
    return adjugate / determinant_2x2(matrix)[..., None, None]


def backproject(pixels: Tensor, depth: Tensor, intrinsics: Tensor) -> Tensor:
    """Points at ``depth`` metres along the rays of ``pixels``: inverse of :func:`project`.

    Shapes:
        pixels: (..., N, 2); depth: (..., N); intrinsics: (..., 3, 3); returns (..., N, 3) camera frame, metres.
    """
    rays = (pixels - intrinsics[..., None, :2, 2]) @ inverse_2x2(intrinsics[..., :2, :2]).transpose(-1, -2)
    return torch.cat([rays * depth[..., None], depth[..., None]], -1)


def virtual_intrinsics(size: int) -> FloatArray:
    """(3, 3) K that stands in for an unknown camera on a crop of ``size`` pixels, principal point at its centre."""
    focal, centre = VIRTUAL_FOCAL_FACTOR * size, (size - 1) / 2
    return np.array([[focal, 0, centre], [0, focal, centre], [0, 0, 1]])


def weak_perspective_root(camera: Tensor, intrinsics: Tensor, image_size: int, min_scale: float = 0.5) -> Tensor:
    r"""Where a weak-perspective camera puts the wrist, in a full-perspective camera.

    The scale s (half crops per metre) of n = s X + t means the depth at which a metre spans as many pixels:
    Z = f / (s S / 2), f = sqrt(|det K_2x2|). The wrist lies at Z along the ray through t.

    Args:
        camera: (s, t_x, t_y) in normalised crop coordinates.
        intrinsics: K of the crop, pixels.

    Shapes:
        camera: (..., 3); intrinsics: (..., 3, 3); returns (..., 3) metres, camera frame.
    """
    focal = determinant_2x2(intrinsics).abs().sqrt()
    depth = focal / (camera[..., 0].clamp_min(min_scale) * (image_size / 2))
    pixels = normalised_to_pixels(camera[..., 1:], image_size)
    return backproject(pixels[..., None, :], depth[..., None], intrinsics)[..., 0, :]


def box_of_points(points: FloatArray) -> FloatArray:
    """(4,) left, top, right, bottom of points (N, 2), pixels."""
    return np.concatenate([points.min(0), points.max(0)])


def square_crop(box: FloatArray, size: int, margin: float = 1.25, rotation: float = 0.0) -> FloatArray:
    """Affine that takes an image to a square crop around a box.

    The crop's side is the box's longer side times ``margin`` (1.25: LGNet's half side of max extent / 2 / 0.8), its
    centre the box's centre; the image is turned by ``rotation`` radians (clockwise as seen) about it.

    Args:
        box: left, top, right, bottom, pixels.
        size: side of the crop, pixels.

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
    """(2, 3) affine that fits a whole image into a square of ``size`` pixels, centred."""
    return square_crop(np.array([-0.5, -0.5, width - 0.5, height - 0.5]), size, margin=1.0)


def transform_points(affine: FloatArray, points: FloatArray) -> FloatArray:
    """Apply an affine (2, 3) to points (..., 2)."""
    return points @ affine[:, :2].T + affine[:, 2]


def invert_affine(affine: FloatArray) -> FloatArray:
    """(2, 3) inverse of an affine (2, 3)."""
    linear = np.linalg.inv(affine[:, :2])
    return np.column_stack([linear, -linear @ affine[:, 2]])


def crop_intrinsics(affine: FloatArray, matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
    r"""Intrinsics and rotation of the camera that sees a crop.

    An affine A = [s R | t] on the pixels of K equals, for a turned crop, a camera turned about its optical axis:
    A K = K' R_z with K' = [s R K_2x2 R^T | A c]. Points and orientations of the camera frame turn by R_z.

    Shapes:
        affine: (2, 3); matrix: (3, 3); returns K' (3, 3) and R_z (3, 3).
    """
    linear = affine[:, :2]
    turn = linear / np.sqrt(np.linalg.det(linear))
    cropped, rotation = np.eye(3), np.eye(3)
    cropped[:2, :2] = linear @ matrix[:2, :2] @ turn.T
    cropped[:2, 2] = transform_points(affine, matrix[:2, 2])
    rotation[:2, :2] = turn
    return cropped, rotation


def warp(image: FloatArray, affine: FloatArray, size: int) -> FloatArray:
    """Cut a crop out of an image (H, W[, C]); bilinear, area-averaged where it shrinks; outside is black."""
    scale = np.sqrt(abs(np.linalg.det(affine[:, :2])))
    if scale < 0.5:  # bilinear sampling alone would alias: shrink by averaging first
        shrink = 2 ** int(np.floor(-np.log2(scale)))
        height, width = (max(1, round(s / shrink)) for s in image.shape[:2])
        small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        ratio = np.array([image.shape[1] / width, image.shape[0] / height])
        grow = np.column_stack([np.diag(ratio), (ratio - 1) / 2])  # pixel centres of the small image in the large one
        linear = affine[:, :2] @ grow[:, :2]
        affine = np.column_stack([linear, affine[:, :2] @ grow[:, 2] + affine[:, 2]])
        image = small
    return cv2.warpAffine(image, affine, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def undistort_points(pixels: FloatArray, camera: Camera) -> FloatArray:
    """Pixels (N, 2) of a distorted image to where an ideal pinhole with the same K would see them."""
    if not camera.distortion.any():
        return pixels
    # OpenCV's default of 5 iterations leaves 0.3 px with an ordinary wide lens; OpenCV 5 has one name for both forms.
    undistort = getattr(cv2, "undistortPointsIter", cv2.undistortPoints)
    points = undistort(
        np.ascontiguousarray(pixels, np.float64)[:, None],
        camera.matrix,
        camera.distortion,
        R=np.eye(3),
        P=camera.matrix,
        criteria=(cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 40, 1e-10),
    )
    return points[:, 0]


def project_distorted(points: FloatArray, camera: Camera) -> FloatArray:
    """Points (N, 3) of the camera frame, metres, to pixels (N, 2) of the image, with the camera's distortion."""
    rvec = np.zeros(3)
    pixels, _ = cv2.projectPoints(
        np.ascontiguousarray(points, np.float64), rvec, rvec, camera.matrix, camera.distortion
    )
    return pixels[:, 0]


def place_hands(
    joints: FloatArray,
    pixels: FloatArray,
    intrinsics: FloatArray,
    weights: FloatArray,
    relative_translation: FloatArray | None = None,
    relative_weight: float = 0.0,
) -> FloatArray:
    r"""Camera-frame positions of the wrists: one linear weighted least-squares problem over all hands.

    A joint X (wrist-relative) at wrist W is seen at p: with the ray r = K^{-1} (p, 1), (X + W)_xy - r_xy (X + W)_z = 0,
    two equations linear in W per joint. They are errors in metres across the ray; ``relative_weight`` weighs
    W_left - W_right = relative_translation, in metres too.

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
        ValueError: if fewer than two joints of a hand weigh anything.
    """
    hands = len(joints)
    if (np.count_nonzero(weights, axis=1) < 2).any():
        raise ValueError("place_hands: a hand needs at least two joints with a weight above 0")
    rays = (pixels - intrinsics[:2, 2]) @ np.linalg.inv(intrinsics[:2, :2]).T
    rows, targets = [], []
    for k in range(hands):
        rhs = (rays[k] * joints[k, :, 2:] - joints[k, :, :2]) * weights[k, :, None]
        for axis in range(2):
            block = np.zeros((joints.shape[1], 3 * hands))
            block[:, 3 * k + axis] = weights[k]
            block[:, 3 * k + 2] = -rays[k, :, axis] * weights[k]
            rows.append(block)
            targets.append(rhs[:, axis])
    if hands == 2 and relative_translation is not None:
        rows.append(relative_weight * np.hstack([-np.eye(3), np.eye(3)]))
        targets.append(relative_weight * relative_translation)
    solution, *_ = np.linalg.lstsq(np.vstack(rows), np.concatenate(targets), rcond=None)
    return solution.reshape(hands, 3)
