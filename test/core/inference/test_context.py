"""Validation of images and cameras at the entry of the pipeline."""

from __future__ import annotations

import numpy as np
import pytest
from support.scripted_engines import CAMERA, coordinate_image

from lgnet_core.inference.context import ImageContext
from lgnet_core.inference.thresholds import Thresholds


def zeros(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (zeros(48, 64), r"\(48, 64\)"),
        (zeros(48, 64, 4), r"\(48, 64, 4\)"),
        (zeros(48, 64, 3, dtype=np.uint16), "uint16"),
        (zeros(48, 64, 3, dtype=np.float32), "float32"),
        (zeros(1, 1, 3), "1x1"),
        (zeros(0, 0, 3), "0x0"),
        (zeros(16, 33_000, 3), "33000x16"),
        (zeros(0), r"\(0,\)"),
        (None, "NoneType"),
    ],
    ids=["grey", "rgba", "16-bit", "float", "1x1", "empty", "too-long", "one-axis", "none"],
)
def test_invalid_images_are_rejected(image, message):
    with pytest.raises(ValueError, match=message):
        ImageContext.from_image(image, None, Thresholds())


def test_a_camera_of_another_size_is_rejected():
    with pytest.raises(ValueError, match="calibrated for 240x180 pixels, but the image has 320x240"):
        ImageContext.from_image(zeros(240, 320, 3), CAMERA, Thresholds())


def test_a_calibrated_camera_makes_the_output_metric():
    image = coordinate_image()
    calibrated = ImageContext.from_image(image, CAMERA, Thresholds())
    assert calibrated.camera is CAMERA
    assert calibrated.metric
    uncalibrated = ImageContext.from_image(image, None, Thresholds())
    assert (uncalibrated.camera.width, uncalibrated.camera.height) == (CAMERA.width, CAMERA.height)
    assert not uncalibrated.metric
