"""EXIF orientation: the camera is turned with the image, so that every ray shows the same content."""

from __future__ import annotations

import numpy as np
import pytest

from lgnet_core.geometry.camera import project_distorted
from lgnet_core.io.orientation import camera_of_upright_image, turn_camera, turn_image
from lgnet_core.types import DISTORTION_COUNTS, Camera

MATRIX = np.array([[500.0, 0, 310.5], [0, 520, 250.25], [0, 0, 1]])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("count", DISTORTION_COUNTS)
def test_a_point_is_seen_in_the_same_pixel(orientation, count):
    """Its pixel as stored is moved by :func:`turn_image` to where the turned camera sees the turned point."""
    rng = np.random.default_rng(count)
    distortion = rng.normal(scale=0.05, size=count)
    if orientation >= 5:
        distortion[12:] = 0
    camera = Camera(MATRIX, 640, 480, distortion)
    turned = turn_camera(camera, orientation)
    index = turn_image(np.dstack(np.mgrid[:480, :640][::-1]), orientation).astype(float)  # stored pixel of each pixel
    assert index.shape[:2] == (turned.height, turned.width)
    origin, axes = index[0, 0], np.stack([index[0, 1] - index[0, 0], index[1, 0] - index[0, 0]], axis=1)
    points = np.column_stack([rng.uniform(-0.3, 0.3, (20, 2)), rng.uniform(0.5, 1, 20)])
    turned_points = np.column_stack([points[:, :2] @ axes, points[:, 2]])
    pixels = project_distorted(turned_points, turned)
    np.testing.assert_allclose(pixels @ axes.T + origin, project_distorted(points, camera), atol=1e-8)


def test_a_tilted_sensor_cannot_be_turned_by_90_degrees():
    camera = Camera(MATRIX, 640, 480, np.full(14, 0.01))
    with pytest.raises(ValueError, match="store the image upright"):
        turn_camera(camera, 6)


def test_a_calibration_from_upright_images_is_used_as_it_is():
    upright = Camera(MATRIX[[1, 0, 2]][:, [1, 0, 2]], 480, 640)
    assert camera_of_upright_image(upright, (480, 640), 6) is upright
    stored = Camera(MATRIX, 640, 480)
    turned = camera_of_upright_image(stored, (480, 640), 6)
    np.testing.assert_array_equal(turned.matrix, [[520, 0, 479 - 250.25], [0, 500, 310.5], [0, 0, 1]])
    with pytest.raises(ValueError, match="480x640 pixels, but the camera was calibrated for 320x240"):
        camera_of_upright_image(Camera(MATRIX, 320, 240), (480, 640), 6)
