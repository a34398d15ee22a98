r"""Fisheye camera of Project Aria and Quest 3 (FISHEYE624), and pinhole views of its images.

A point at an angle :math:`\theta` from the optical axis has the direction (a, b) = :math:`\theta` (x, y) / \|(x, y)\|.
With r = :math:`\theta`, six radial, two tangential and four thin-prism coefficients,

.. math::
    (u, v) &= (a, b) (1 + k_0 r^2 + k_1 r^4 + \ldots + k_5 r^{12}), \quad s = u^2 + v^2 \\
    u' &= u + 2 p_1 u v + p_0 (s + 2 u^2) + s_0 s + s_1 s^2 \\
    v' &= v + 2 p_0 u v + p_1 (s + 2 v^2) + s_2 s + s_3 s^2

and the pixel is (f_x u' + c_x, f_y v' + c_y).

Source: facebookresearch/hand_tracking_toolkit, camera_distortion.py (OVR624Distortion) and dataset.py (warp_image).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lgnet_core.types import FloatArray, ImageArray

MODEL = "CameraModelType.FISHEYE624"
_NUM_COEFFICIENTS = 12


@dataclass(frozen=True, eq=False)
class FisheyeCamera:
    """A fisheye camera.

    Args:
        size: (width, height), pixels.

    Shapes:
        focal, centre: (2,) pixels; coefficients: (12,) k_0..k_5, p_0, p_1, s_0..s_3.
    """

    size: tuple[int, int]
    focal: FloatArray
    centre: FloatArray
    coefficients: FloatArray

    @classmethod
    def from_parameters(cls, size: tuple[int, int], parameters: FloatArray) -> FisheyeCamera:
        """From the 15 numbers (f, c_x, c_y, coefficients) of Aria or the 16 (f_x, f_y, c_x, c_y, ...) of others.

        Raises:
            ValueError: if their number differs.
        """
        if len(parameters) == 3 + _NUM_COEFFICIENTS:
            parameters = np.concatenate([parameters[:1], parameters])
        if len(parameters) != 4 + _NUM_COEFFICIENTS:
            raise ValueError(f"{len(parameters)} projection parameters, expected 15 or 16")
        return cls(size, parameters[:2], parameters[2:4], parameters[4:])

    def project(self, points: FloatArray) -> FloatArray:
        """Pixels of points in front of the camera. Shapes: (..., 3) camera frame -> (..., 2)."""
        radius = np.linalg.norm(points[..., :2], axis=-1, keepdims=True)
        angle = np.arctan2(radius, points[..., 2:])
        direction = points[..., :2] * angle / np.maximum(radius, 1e-12)
        radial, (p0, p1, s0, s1, s2, s3) = self.coefficients[:6], self.coefficients[6:]
        squared = angle**2
        factor = 1 + sum(k * squared ** (power + 1) for power, k in enumerate(radial))
        u, v = np.moveaxis(direction * factor, -1, 0)
        s = u**2 + v**2
        distorted = np.stack(
            [
                u + 2 * p1 * u * v + p0 * (s + 2 * u**2) + s0 * s + s1 * s**2,
                v + 2 * p0 * u * v + p1 * (s + 2 * v**2) + s2 * s + s3 * s**2,
            ],
            -1,
        )
        return self.focal * distorted + self.centre


def pinhole_view(
    image: ImageArray, camera: FisheyeCamera, view: FloatArray, matrix: FloatArray, size: int
) -> ImageArray:
    """The square image of a pinhole camera in the place of a fisheye camera; black outside of the fisheye image.

    Args:
        view: rotates points of the fisheye camera into the pinhole camera. matrix: K. size: side, pixels.

    Shapes:
        view, matrix: (3, 3); returns (S, S, 3).
    """
    columns, rows = np.meshgrid(np.arange(size), np.arange(size))
    rays = np.stack([columns, rows, np.ones_like(rows)], -1) @ np.linalg.inv(matrix).T @ view
    pixels = camera.project(rays)
    pixels[rays[..., 2] <= 0] = -10  # behind the camera the polynomials are not valid
    u, v = np.moveaxis(pixels.astype(np.float32), -1, 0)
    return np.asarray(cv2.remap(image, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT), np.uint8)
