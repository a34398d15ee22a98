"""Exposure normalisation: dark images are stretched, others are returned unchanged."""

from __future__ import annotations

import numpy as np
import pytest

from lgnet_core.inference.exposure import normalise_exposure
from lgnet_core.inference.thresholds import Thresholds

THRESHOLDS = Thresholds()


def bright_image() -> np.ndarray:
    """Noise over the full range."""
    return np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)


def test_a_bright_image_is_returned_unchanged() -> None:
    image = bright_image()
    assert normalise_exposure(image, THRESHOLDS) is image


@pytest.mark.parametrize("gain", [0.5, 0.2])
@pytest.mark.parametrize("offset", [0, 12])
def test_stretching_inverts_a_loss_of_contrast(gain: float, offset: int) -> None:
    """v -> gain v + offset is inverted up to 8-bit rounding and the clipped percentiles; the input is not modified."""
    image = bright_image()
    image[:, :, 1:] = image[:, :, :1] // 2  # the brightest channel spans the full range
    dark = np.rint(image * gain + offset).astype(np.uint8)
    original = dark.copy()
    stretched = normalise_exposure(dark, THRESHOLDS)
    np.testing.assert_array_equal(dark, original)
    assert np.abs(stretched[:, :, 0].astype(float) - image[:, :, 0]).mean() < 1 / gain + 3
    assert stretched.max() == 255


def test_a_black_image_stays_black() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    assert not normalise_exposure(image, THRESHOLDS).any()


def test_hues_are_preserved() -> None:
    """One curve for all channels: a dark red stays red."""
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 32:] = [60, 20, 10]
    red, green, blue = normalise_exposure(image, THRESHOLDS)[0, -1].astype(int)
    assert red > green > blue
