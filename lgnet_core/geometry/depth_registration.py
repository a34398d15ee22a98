"""Registration of depth maps to the images of another camera."""

from __future__ import annotations

import cv2
import numpy as np

from lgnet_core.geometry.camera import pixel_rays, undistort_points
from lgnet_core.types import Camera, FloatArray

_GAP_STEP = 0.05
"""Metres: a pixel that is farther behind its neighbours shows what they hide, through a gap between projected pixels.
"""


class DepthRegistration:
    """Registers the depth maps of one camera to the images of another by projection with a z-buffer.

    Args:
        depth_camera: of the depth maps.
        camera: of the images.
        rotation, translation: from the frame of ``depth_camera`` to that of ``camera``, metres.

    Shapes: rotation: (3, 3); translation: (3,).
    """

    def __init__(self, depth_camera: Camera, camera: Camera, rotation: FloatArray, translation: FloatArray) -> None:
        self._camera = camera
        self._depth_shape = depth_camera.height, depth_camera.width
        u, v = np.meshgrid(np.arange(depth_camera.width), np.arange(depth_camera.height))
        pixels = undistort_points(np.column_stack([u.ravel(), v.ravel()]).astype(np.float64), depth_camera)
        rays = np.column_stack([pixel_rays(pixels, depth_camera.matrix), np.ones(len(pixels))])
        # (3, N), of depth 1 in the depth camera; coordinates first: numpy is several times faster along long rows.
        self._rays = np.ascontiguousarray((rays @ rotation.T).T, np.float32)
        self._translation = translation.astype(np.float32)
        # Neighbouring pixels of the depth map are this many pixels apart in the image.
        spacing = np.ceil(np.max(camera.matrix.diagonal()[:2] / depth_camera.matrix.diagonal()[:2]))
        self._window = np.ones((2 * int(spacing) + 1,) * 2, np.uint8)

    def __call__(self, metres: FloatArray) -> FloatArray:
        """Register a depth map.

        Args:
            metres: 0, NaN or infinite where nothing was measured.

        Shapes:
            metres: (h, w) of the depth camera; returns (H, W) float32 of the image, 0 where nothing was measured.

        Raises:
            ValueError: if the depth map has another size than its camera.
        """
        if metres.shape != self._depth_shape:
            raise ValueError(
                f"depth map: {metres.shape[1]}x{metres.shape[0]} pixels, but its camera has "
                f"{self._depth_shape[1]}x{self._depth_shape[0]}; use the calibration of the depth camera"
            )
        flat = metres.reshape(-1).astype(np.float32)
        measured = (flat > 0) & (flat < np.inf)
        flat = np.where(measured, flat, np.float32(1))
        x, y, z = (ray * flat + offset for ray, offset in zip(self._rays, self._translation))
        measured &= z > 0
        u, v = self._project(x, y, np.where(measured, z, np.float32(1)))
        height, width = self._camera.height, self._camera.width
        measured &= (u > -0.5) & (u < width - 0.5) & (v > -0.5) & (v < height - 0.5)
        u, v, z = (values[measured] for values in (u, v, z))
        pixel = np.rint(v).astype(np.int64) * width + np.rint(u).astype(np.int64)
        buffer = np.full(height * width, np.inf, np.float32)
        np.minimum.at(buffer, pixel, z)
        image = buffer.reshape(height, width)
        nearest = cv2.erode(image, self._window, borderType=cv2.BORDER_REPLICATE)
        # Gaps between the projected pixels, and surfaces seen through them.
        registered = np.where(image > nearest + _GAP_STEP, nearest, image)
        return np.where(np.isfinite(registered), registered, np.float32(0))

    def _project(self, x: FloatArray, y: FloatArray, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        camera = self._camera
        if camera.distortion.any():
            zero = np.zeros(3)
            points = np.column_stack([x, y, z])
            u, v = cv2.projectPoints(points, zero, zero, camera.matrix, camera.distortion)[0][:, 0].T
            return u, v
        matrix = camera.matrix.astype(np.float32)
        x, y = x / z, y / z
        return matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2], matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
