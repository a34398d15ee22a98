"""Crops: what is cut, the camera that belongs to it, and the way back into the picture."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lgnet_core.camera import letterbox, project_distorted, square_crop, transform_points, warp
from lgnet_core.inference.crops import cut_crops, joints_in_picture, local_intrinsics
from lgnet_core.types import Camera

LENS = Camera(
    np.array([[410.0, 0, 322.0], [0, 415.0, 244.0], [0, 0, 1]]), 640, 480, np.array([-0.12, 0.03, 0.001, -0.0008, 0.0])
)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)


@pytest.mark.parametrize(
    "affine",
    [
        letterbox(320, 240, 64),
        square_crop(np.array([100.0, 90, 150, 130]), 64),
        square_crop(np.array([100.0, 90, 260, 230]), 64, rotation=0.7),
        square_crop(np.array([-60.0, -40, 40, 50]), 64),
        square_crop(np.array([250.0, 200, 400, 330]), 32, rotation=-2.0),
    ],
    ids=["whole", "enlarged", "turned", "corner", "shrunk"],
)
def test_reading_only_what_a_crop_sees_changes_little(picture, affine):
    """Only where a picture is shrunk may the result differ: averaging then starts at another pixel."""
    size = 32 if affine[0, 0] ** 2 + affine[0, 1] ** 2 < 0.25**2 else 64
    crop = cut_crops(picture, None, affine[None], size).images[0]
    whole = warp(picture, affine, size).transpose(2, 0, 1) / 255
    shrinks = np.sqrt(np.linalg.det(affine[:, :2])) < 0.5
    if shrinks:
        assert np.abs(crop - whole).mean() < 0.06
    else:
        np.testing.assert_allclose(crop, whole, atol=1.01 / 255)
    assert crop.dtype == np.float32


def test_smooth_pictures_are_cut_alike_where_they_shrink():
    v, u = np.mgrid[:960, :1280]
    smooth = np.stack([u / 5, v / 4, (u + v) / 9], -1).astype(np.uint8)
    affine = square_crop(np.array([300.0, 200, 1000, 800]), 128, rotation=0.3)
    crop = cut_crops(smooth, None, affine[None], 128).images[0]
    np.testing.assert_allclose(crop, warp(smooth, affine, 128).transpose(2, 0, 1) / 255, atol=2.5 / 255)


def test_a_crop_beside_the_picture_is_black(picture):
    affine = square_crop(np.array([1000.0, 1000, 1100, 1100]), 64)
    assert not cut_crops(picture, None, affine[None], 64).images.any()


@given(u=st.floats(0, 639), v=st.floats(0, 479))
def test_local_camera_is_the_distorted_one_to_first_order(u, v):
    """The error of the local pinhole falls with the square of the distance."""
    matrix = local_intrinsics(LENS, np.array([u, v]))
    ray = np.linalg.solve(matrix[:2, :2], [u, v] - matrix[:2, 2])
    errors = []
    for step in (0.04, 0.02):
        points = np.array([*(ray + step * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])), ray])
        seen = project_distorted(np.column_stack([points, np.ones(5)]), LENS)
        errors.append(np.abs(points @ matrix[:2, :2].T + matrix[:2, 2] - seen)[:4].max())
    assert errors[0] < 1.0
    assert errors[1] < 0.35 * errors[0] + 0.02


def test_without_distortion_the_local_camera_is_the_camera():
    camera = Camera(LENS.matrix, 640, 480)
    assert local_intrinsics(camera, np.array([3.0, 4.0])) is camera.matrix


def test_joints_return_to_the_picture(picture):
    affines = np.stack([square_crop(np.array([100.0, 90, 150, 130]), 64, rotation=0.4), letterbox(320, 240, 64)])
    crops = cut_crops(picture, None, affines, 64)
    pixels = np.random.default_rng(1).uniform(0, 240, (2, 2, 21, 2))
    cells = np.stack([(transform_points(a, p) + 0.5) / 32 - 0.5 for a, p in zip(affines, pixels)])
    grid = torch.tensor(np.concatenate([cells, np.zeros((2, 2, 21, 1))], -1))
    np.testing.assert_allclose(joints_in_picture(grid, crops), pixels, atol=1e-4)
