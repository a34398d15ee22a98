"""Pinhole cameras of images: the default of an uncalibrated image, and the local one of a distorted image."""

from __future__ import annotations

import numpy as np

from lgnet_core.geometry.camera import project_distorted, undistort_points
from lgnet_core.types import Camera, FloatArray, ImageArray

DEFAULT_FOCAL_RATIO = 1.0
"""Focal length over the longer side of an uncalibrated image: a field of view of 53 degrees, typical of webcams."""


def default_camera(image: ImageArray) -> Camera:
    """The camera that is assumed for an uncalibrated image (H, W, 3)."""
    height, width = image.shape[:2]
    focal = DEFAULT_FOCAL_RATIO * max(width, height)
    matrix = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    return Camera(matrix, width, height)


def local_intrinsics(camera: Camera, pixel: FloatArray, step: float = 1e-3) -> FloatArray:
    r"""The pinhole approximation of a distorted camera around one pixel; K itself if there is no distortion.

    First-order expansion of the projection pi around the ray r of the pixel p: u = p + J (x - r), J = d pi / d x, so
    K = [J | p - J r]. The network projects its mesh into the crop with it, while the image stays distorted.

    Args:
        pixel: clipped to the image border, beyond which no calibration is valid.
        step: of the central differences, in units of the ray (tangent of the angle).

    Shapes:
        pixel: (2,); returns (3, 3).
    """
    if not camera.distortion.any():
        return camera.matrix
    pixel = np.clip(pixel, -0.5, [camera.width - 0.5, camera.height - 0.5])
    undistorted = undistort_points(pixel[None], camera)[0]
    ray = np.linalg.solve(camera.matrix[:2, :2], undistorted - camera.matrix[:2, 2])
    rays = np.array([[step, 0], [-step, 0], [0, step], [0, -step], [0, 0]]) + ray
    pixels = project_distorted(np.column_stack([rays, np.ones(5)]), camera)
    jacobian = np.stack([pixels[0] - pixels[1], pixels[2] - pixels[3]], axis=1) / (2 * step)  # (2, 2)
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = jacobian, pixels[4] - jacobian @ ray
    return matrix
