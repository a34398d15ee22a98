"""Dark images are brightened, others are left alone."""

from __future__ import annotations

import numpy as np
import pytest

from lgnet_core.inference.exposure import normalise_exposure
from lgnet_core.inference.thresholds import Thresholds

THRESHOLDS = Thresholds()


def bright_image() -> np.ndarray:
    """Noise over the full range."""
    return np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)


def test_a_bright_image_is_the_same_object() -> None:
    image = bright_image()
    assert normalise_exposure(image, THRESHOLDS) is image


@pytest.mark.parametrize("gain", [0.5, 0.2])
@pytest.mark.parametrize("offset", [0, 12])
def test_stretching_undoes_a_loss_of_contrast(gain: float, offset: int) -> None:
    """v -> gain v + offset is undone to within what rounding to 8 bits has lost, and the percentiles' share."""
    image = bright_image()
    image[:, :, 1:] = image[:, :, :1] // 2  # the brightest channel spans the full range
    dark = np.rint(image * gain + offset).astype(np.uint8)
    before = dark.copy()
    mended = normalise_exposure(dark, THRESHOLDS)
    np.testing.assert_array_equal(dark, before)
    assert np.abs(mended[:, :, 0].astype(float) - image[:, :, 0]).mean() < 1 / gain + 3
    assert mended.max() == 255


def test_a_black_image_stays_black() -> None:
    """There is no contrast to stretch."""
    image = np.zeros((64, 64, 3), np.uint8)
    assert not normalise_exposure(image, THRESHOLDS).any()


def test_channels_keep_their_order_of_brightness() -> None:
    """One curve for all channels: a dark red stays red."""
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 32:] = [60, 20, 10]
    mended = normalise_exposure(image, THRESHOLDS)[0, -1].astype(int)
    assert mended[0] > mended[1] > mended[2]
