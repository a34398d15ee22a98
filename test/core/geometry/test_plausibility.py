"""Tests of the plausibility of intrinsics."""

from __future__ import annotations

import numpy as np
import pytest

from lgnet_core.geometry.plausibility import implausible_intrinsics


def matrix(fx: float, fy: float, cx: float, cy: float) -> np.ndarray:
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], float)


@pytest.mark.parametrize(
    ("values", "size"),
    [
        ((615, 615, 322, 238), (640, 480)),  # RealSense D435, colour
        ((1390, 1386, 958, 530), (1920, 1080)),  # webcam
        ((285, 285, 420, 400), (848, 800)),  # wide lens, 112 degrees
        ((525, 525, 319.5, 239.5), (640, 480)),  # Kinect
        ((3900, 3900, 960, 540), (1920, 1080)),  # telephoto
        ((600, 600, 240, 320), (480, 640)),  # upright
    ],
)
def test_real_cameras_are_plausible_and_their_calibration_at_another_scale_is_not(
    values: tuple[float, float, float, float], size: tuple[int, int]
) -> None:
    assert implausible_intrinsics(matrix(*values), *size) == ""
    for scale in (1 / 6, 1 / 3, 2, 6):
        assert implausible_intrinsics(np.diag([scale, scale, 1]) @ matrix(*values), *size)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((600, 600, 900, 240), "outside of the 640x480"),
        ((600, 600, 320, -5), "outside of the 640x480"),
        ((600, 600, 100, 240), "far from the centre"),
        ((3600, 3600, 320, 240), "128 to 2560"),
        ((100, 100, 320, 240), "128 to 2560"),
        ((600, 1300, 320, 240), "similar ones in both directions"),
    ],
)
def test_the_implausible_value_is_named(values: tuple[float, float, float, float], text: str) -> None:
    assert text in implausible_intrinsics(matrix(*values), 640, 480)
