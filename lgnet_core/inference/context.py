"""The input of one pipeline run: a validated image with its camera, the thresholds and a stopwatch."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lgnet_core.inference.camera import default_camera
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.inference.timing import Stopwatch
from lgnet_core.io.images import MIN_SIDE
from lgnet_core.types import Camera, ImageArray

MAX_SIDE = 32_000
"""Pixels: coordinates of OpenCV's ``warpAffine`` are 16-bit integers."""


@dataclass(frozen=True, eq=False)
class ImageContext:
    """One image and everything that the stages need beside it.

    Args:
        image: (H, W, 3) RGB.
        camera: of the image, or the default one of an uncalibrated image.
        metric: whether the camera is calibrated, so that hands can be placed in its frame.
        thresholds: one snapshot for all stages, as they may be changed from another thread.
        stopwatch: accumulates the time of each stage.
    """

    image: ImageArray
    camera: Camera
    metric: bool
    thresholds: Thresholds
    stopwatch: Stopwatch = field(default_factory=Stopwatch)

    @classmethod
    def from_image(cls, image: ImageArray, camera: Camera | None, thresholds: Thresholds) -> ImageContext:
        """Validate an image and its camera.

        Args:
            camera: None: uncalibrated.

        Raises:
            ValueError: what is wrong and how to fix it.
        """
        _check_image(image)
        if camera is not None:
            _check_camera(camera, image)
        return cls(image, default_camera(image) if camera is None else camera, camera is not None, thresholds)


def _check_image(image: ImageArray) -> None:
    remedy = "read files with lgnet_core.io.images, which converts greyscale, RGBA and 16-bit images"
    if not isinstance(image, np.ndarray):
        raise ValueError(f"image: expected a numpy array (H, W, 3) uint8, got {type(image).__name__}; {remedy}")
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image: expected RGB, shape (H, W, 3), uint8; got {image.shape}, {image.dtype}; {remedy}")
    height, width = image.shape[:2]
    if min(height, width) < MIN_SIDE or max(height, width) > MAX_SIDE:
        raise ValueError(
            f"image: {width}x{height} pixels; each side must be {MIN_SIDE} to {MAX_SIDE} pixels: "
            "pass the whole image, or downscale it (and its camera)"
        )


def _check_camera(camera: Camera, image: ImageArray) -> None:
    height, width = image.shape[:2]
    if (camera.width, camera.height) != (width, height):
        raise ValueError(
            f"camera: calibrated for {camera.width}x{camera.height} pixels, but the image has {width}x{height}; "
            "pass the camera of this image, or resize the image to the camera's size"
        )
