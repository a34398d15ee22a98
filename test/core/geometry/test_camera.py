"""Perspective camera: projection against OpenCV, back-projection, weak perspective and lens distortion."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.cameras import intrinsics, points_in_view
from torch.testing import assert_close

from lgnet_core.geometry.camera import (
    backproject,
    pixel_rays,
    project,
    project_distorted,
    undistort_points,
    virtual_intrinsics,
    weak_perspective_root,
)
from lgnet_core.geometry.coordinates import pixels_to_normalised
from lgnet_core.types import Camera

SIZE = 256


@given(matrix=intrinsics(), seed=st.integers(0, 1000))
def test_projection_matches_opencv_and_backprojection_inverts_it(matrix, seed):
    points = points_in_view(seed)
    expected = cv2.projectPoints(points, np.zeros(3), np.zeros(3), matrix, None)[0][:, 0]
    tensor, k = torch.from_numpy(points), torch.from_numpy(matrix)
    pixels = project(tensor, k)
    assert_close(pixels, torch.from_numpy(expected), atol=1e-6, rtol=0)
    assert_close(backproject(pixels, tensor[:, 2], k), tensor, atol=1e-9, rtol=0)


@given(matrix=intrinsics(), s=st.floats(1, 20), tx=st.floats(-0.8, 0.8), ty=st.floats(-0.8, 0.8))
def test_weak_perspective_root_has_the_translation_and_scale(matrix, s, tx, ty):
    k = torch.from_numpy(matrix)
    weak = torch.tensor([s, tx, ty], dtype=torch.float64)
    root = weak_perspective_root(weak, k, SIZE)
    centre = pixels_to_normalised(project(root[None], k), SIZE)[0]
    assert_close(centre, weak[1:], atol=1e-9, rtol=0)
    axes = torch.eye(3, dtype=torch.float64)[:2]  # small steps along x and y project to s half crops per metre
    steps = pixels_to_normalised(project(root + 1e-6 * axes, k), SIZE) - centre
    area = torch.linalg.det(steps).abs().sqrt() / 1e-6
    assert_close(area, torch.tensor(s, dtype=torch.float64), rtol=1e-4, atol=0)


def test_weak_perspective_root_of_zero_is_finite():
    weak = torch.zeros(1, 3, requires_grad=True)
    root = weak_perspective_root(weak, torch.from_numpy(virtual_intrinsics(SIZE)).float()[None], SIZE)
    root.sum().backward()
    assert root.isfinite().all()
    assert weak.grad.isfinite().all()


@given(matrix=intrinsics(), seed=st.integers(0, 1000))
def test_distorted_points_round_trip(matrix, seed):
    lens = Camera(matrix, 1600, 1200, np.array([-0.05, 0.01, 1e-3, -5e-4, 0.0]))
    points = points_in_view(seed) * [0.5, 0.5, 1]
    ideal = project(torch.from_numpy(points), torch.from_numpy(matrix)).numpy()
    undistorted = undistort_points(project_distorted(points, lens), lens)
    assert np.abs(undistorted - ideal).max() < 1e-6
    assert np.abs(project_distorted(points, lens) - ideal).max() > 0.05


@given(matrix=intrinsics(), seed=st.integers(0, 1000))
def test_pixel_rays_are_normalised_points(matrix, seed):
    points = points_in_view(seed)
    pixels = project(torch.from_numpy(points), torch.from_numpy(matrix)).numpy()
    np.testing.assert_allclose(pixel_rays(pixels, matrix), points[:, :2] / points[:, 2:], atol=1e-9)
