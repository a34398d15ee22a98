"""Perspective camera model: projection, back-projection, lens distortion and weak-perspective conversion.

Pixel conventions: :mod:`lgnet_core.geometry.coordinates`. Camera frame: x right, y down, z forward, metres.
"""

from __future__ import annotations

import cv2
import numpy as np
from array_api_compat import array_namespace

from lgnet_core.geometry.affine import determinant_2x2, inverse_2x2
from lgnet_core.geometry.coordinates import normalised_to_pixels
from lgnet_core.types import Array, Camera, FloatArray

VIRTUAL_FOCAL_FACTOR = 2.5
"""Focal length over crop size where K is unknown: a field of view of 23 degrees, about 1.5 hands wide at 0.7 m."""


def project(points: Array, intrinsics: Array, min_depth: float = 1e-2) -> Array:
    """Perspective projection without distortion.

    The full upper-left 2x2 block of K is used, so the K of a rotated crop (which has off-diagonal entries where fx
    differs from fy) is projected correctly.

    Args:
        points: camera frame, metres. Depths below ``min_depth`` are clamped to keep gradients finite.
        intrinsics: K, pixels.

    Shapes:
        points: (..., N, 3); intrinsics: (..., 3, 3) broadcastable to the leading dimensions; returns (..., N, 2).
    """
    rays = points[..., :2] / points[..., 2:].clip(min_depth)
    return rays @ intrinsics[..., :2, :2].swapaxes(-1, -2) + intrinsics[..., None, :2, 2]


def backproject(pixels: Array, depth: Array, intrinsics: Array) -> Array:
    """Points at ``depth`` metres along the rays through ``pixels``: inverse of :func:`project`.

    Shapes:
        pixels: (..., N, 2); depth: (..., N); intrinsics: (..., 3, 3); returns (..., N, 3) camera frame, metres.
    """
    rays = (pixels - intrinsics[..., None, :2, 2]) @ inverse_2x2(intrinsics[..., :2, :2]).swapaxes(-1, -2)
    xp = array_namespace(pixels, depth)
    return xp.concat([rays * depth[..., None], depth[..., None]], axis=-1)


def pixel_rays(pixels: FloatArray, intrinsics: FloatArray) -> FloatArray:
    """(x / z, y / z) of the rays through undistorted pixels. Shapes: (..., 2), (3, 3) -> (..., 2)."""
    return (pixels - intrinsics[:2, 2]) @ np.linalg.inv(intrinsics[:2, :2]).T


def virtual_intrinsics(size: int) -> FloatArray:
    """(3, 3) K assumed for a crop of ``size`` pixels from an unknown camera, principal point at its centre."""
    focal, centre = VIRTUAL_FOCAL_FACTOR * size, (size - 1) / 2
    return np.array([[focal, 0, centre], [0, focal, centre], [0, 0, 1]])


def weak_perspective_root(camera: Array, intrinsics: Array, image_size: int, min_scale: float = 0.5) -> Array:
    r"""Wrist position in a perspective camera from weak-perspective parameters.

    The scale s (half crop sides per metre) of n = s X + t gives the depth at which a metre spans as many pixels:
    Z = f / (s S / 2), f = sqrt(\|det K_2x2\|). The wrist lies at Z along the ray through t.

    Args:
        camera: (s, t_x, t_y) in normalised crop coordinates.
        intrinsics: K of the crop, pixels.

    Shapes:
        camera: (..., 3); intrinsics: (..., 3, 3); returns (..., 3) metres, camera frame.
    """
    xp = array_namespace(camera, intrinsics)
    focal = xp.sqrt(xp.abs(determinant_2x2(intrinsics)))
    depth = focal / (camera[..., 0].clip(min_scale) * (image_size / 2))
    pixels = normalised_to_pixels(camera[..., 1:], image_size)
    return backproject(pixels[..., None, :], depth[..., None], intrinsics)[..., 0, :]


def undistort_points(pixels: FloatArray, camera: Camera) -> FloatArray:
    """Pixels (N, 2) of a distorted image to the pixels of an undistorted pinhole image with the same K."""
    if not camera.distortion.any():
        return pixels
    # OpenCV's default of 5 iterations leaves 0.3 px with a common wide-angle lens; OpenCV 5 merged both functions.
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
    """Project points (N, 3) of the camera frame, metres, to pixels (N, 2) of the image, with lens distortion."""
    rvec = np.zeros(3)
    pixels, _ = cv2.projectPoints(
        np.ascontiguousarray(points, np.float64), rvec, rvec, camera.matrix, camera.distortion
    )
    return pixels[:, 0]
