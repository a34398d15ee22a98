"""Default cameras of uncalibrated images, and local pinhole approximations of distorted ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lgnet_core.geometry.camera import project_distorted
from lgnet_core.inference.camera import default_camera, local_intrinsics
from lgnet_core.types import Camera

DISTORTED = Camera(
    np.array([[410.0, 0, 322.0], [0, 415.0, 244.0], [0, 0, 1]]), 640, 480, np.array([-0.12, 0.03, 0.001, -0.0008, 0.0])
)


@given(u=st.floats(0, 639), v=st.floats(0, 479))
def test_local_intrinsics_approximate_the_distorted_camera_to_first_order(u, v):
    """The error of the local pinhole decreases with the square of the distance."""
    matrix = local_intrinsics(DISTORTED, np.array([u, v]))
    ray = np.linalg.solve(matrix[:2, :2], [u, v] - matrix[:2, 2])
    errors = []
    for step in (0.04, 0.02):
        points = np.array([*(ray + step * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])), ray])
        pixels = project_distorted(np.column_stack([points, np.ones(5)]), DISTORTED)
        errors.append(np.abs(points @ matrix[:2, :2].T + matrix[:2, 2] - pixels)[:4].max())
    assert errors[0] < 1.0
    assert errors[1] < 0.35 * errors[0] + 0.02


def test_local_intrinsics_are_constant_beyond_the_image_border():
    np.testing.assert_array_equal(
        local_intrinsics(DISTORTED, np.array([900.0, 100.0])), local_intrinsics(DISTORTED, np.array([639.5, 100.0]))
    )


def test_local_intrinsics_of_an_undistorted_camera_are_its_own():
    camera = Camera(DISTORTED.matrix, 640, 480)
    assert local_intrinsics(camera, np.array([3.0, 4.0])) is camera.matrix


@pytest.mark.parametrize(("width", "height"), [(640, 480), (480, 640)])
def test_default_camera_has_a_field_of_view_of_53_degrees(width, height):
    camera = default_camera(np.zeros((height, width, 3), np.uint8))
    assert (camera.width, camera.height) == (width, height)
    edges = np.abs(np.array([-0.5, max(width, height) - 0.5]) - max(camera.matrix[:2, 2])) / camera.matrix[0, 0]
    np.testing.assert_allclose(2 * np.degrees(np.arctan(edges)), 53.13, atol=0.01)
    assert camera.matrix[0, 0] == camera.matrix[1, 1]
