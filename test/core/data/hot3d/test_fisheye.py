"""Fisheye projection against one written out point by point, and pinhole views of its images."""

from __future__ import annotations

import numpy as np
import pytest
from support.synthetic_hot3d import CENTRE, COEFFICIENTS, FOCAL, SIZE, fisheye_pixel

from lgnet_core.data.hot3d.fisheye import FisheyeCamera, pinhole_view


@pytest.fixture
def camera() -> FisheyeCamera:
    return FisheyeCamera.from_parameters((SIZE, SIZE), np.array([FOCAL, *CENTRE, *COEFFICIENTS]))


def test_projection_of_points(camera):
    rng = np.random.default_rng(0)
    points = rng.normal(0, 0.4, (50, 3)) + np.array([0, 0, 0.7])
    expected = np.array([fisheye_pixel(point) for point in points])
    np.testing.assert_allclose(camera.project(points), expected, atol=1e-9)
    np.testing.assert_allclose(camera.project(np.array([0.0, 0, 2])), CENTRE, atol=1e-9)


def test_one_or_two_focal_lengths(camera):
    both = FisheyeCamera.from_parameters((SIZE, SIZE), np.array([FOCAL, FOCAL, *CENTRE, *COEFFICIENTS]))
    point = np.array([0.3, -0.2, 0.9])
    np.testing.assert_allclose(both.project(point), camera.project(point))
    with pytest.raises(ValueError, match="14 projection parameters, expected 15 or 16"):
        FisheyeCamera.from_parameters((SIZE, SIZE), np.zeros(14))


def test_view_shows_points_where_a_pinhole_camera_does(camera):
    """A dot in the fisheye image is at the pinhole projection of the same point."""
    view = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    matrix = np.array([[140.0, 0, 99.5], [0, 140, 99.5], [0, 0, 1]])
    for point in ([0.1, 0.2, 0.6], [-0.2, 0.05, 0.5]):
        u, v = fisheye_pixel(np.array(point))
        image = np.zeros((SIZE, SIZE, 3), np.uint8)
        image[round(v) - 2 : round(v) + 3, round(u) - 2 : round(u) + 3] = 255
        shown = pinhole_view(image, camera, view, matrix, 200)
        column, row, depth = matrix @ view @ point
        rows, columns = np.nonzero(shown[..., 0] > 127)
        assert rows.mean() == pytest.approx(row / depth, abs=1)
        assert columns.mean() == pytest.approx(column / depth, abs=1)


def test_nothing_is_shown_from_behind(camera):
    image = np.full((SIZE, SIZE, 3), 255, np.uint8)
    backwards = np.diag([1.0, -1, -1])
    matrix = np.array([[140.0, 0, 99.5], [0, 140, 99.5], [0, 0, 1]])
    assert not pinhole_view(image, camera, backwards, matrix, 200).any()
