"""Crops: what is cut, and the camera that belongs to an image and to a place in it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lgnet_core.geometry.camera import letterbox, project_distorted, square_crop, warp
from lgnet_core.inference.crops import cut, image_camera, local_intrinsics
from lgnet_core.types import Camera

LENS = Camera(
    np.array([[410.0, 0, 322.0], [0, 415.0, 244.0], [0, 0, 1]]), 640, 480, np.array([-0.12, 0.03, 0.001, -0.0008, 0.0])
)
MIRROR = np.diag([-1.0, 1])


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)


def mirrored(affine: np.ndarray, size: int) -> np.ndarray:
    return np.column_stack([MIRROR @ affine[:, :2], MIRROR @ affine[:, 2] + [size - 1, 0]])


@pytest.mark.parametrize(
    "affine",
    [
        letterbox(320, 240, 64),
        square_crop(np.array([100.0, 90, 150, 130]), 64),
        square_crop(np.array([100.0, 90, 260, 230]), 64, rotation=0.7),
        mirrored(square_crop(np.array([100.0, 90, 160, 150]), 64, rotation=0.7), 64),
        square_crop(np.array([-60.0, -40, 40, 50]), 64),
        square_crop(np.array([250.0, 200, 400, 330]), 32, rotation=-2.0),
    ],
    ids=["whole", "enlarged", "turned", "mirrored", "corner", "shrunk"],
)
def test_reading_only_what_a_crop_sees_changes_little(image, affine):
    """Only where an image is shrunk may the result differ: averaging then starts at another pixel."""
    size = 32 if affine[0, 0] ** 2 + affine[0, 1] ** 2 < 0.25**2 else 64
    (crop,) = cut(image, affine[None], size)
    whole = warp(image, affine, size).transpose(2, 0, 1) / 255
    shrinks = np.sqrt(abs(np.linalg.det(affine[:, :2]))) < 0.5
    if shrinks:
        assert np.abs(crop - whole).mean() < 0.06
    else:
        np.testing.assert_allclose(crop, whole, atol=1.01 / 255)
    assert crop.dtype == np.float32


def test_smooth_images_are_cut_alike_where_they_shrink():
    v, u = np.mgrid[:960, :1280]
    smooth = np.stack([u / 5, v / 4, (u + v) / 9], -1).astype(np.uint8)
    affine = square_crop(np.array([300.0, 200, 1000, 800]), 128, rotation=0.3)
    (crop,) = cut(smooth, affine[None], 128)
    np.testing.assert_allclose(crop, warp(smooth, affine, 128).transpose(2, 0, 1) / 255, atol=2.5 / 255)


def test_a_crop_beside_the_image_is_black(image):
    affine = square_crop(np.array([1000.0, 1000, 1100, 1100]), 64)
    assert not cut(image, affine[None], 64).any()


def test_each_affine_has_its_crop(image):
    affines = np.stack([square_crop(np.array([u, 90.0, u + 40, 130]), 64) for u in (20.0, 100, 200)])
    crops = cut(image, affines, 64)
    for crop, affine in zip(crops, affines, strict=True):
        np.testing.assert_array_equal(crop, cut(image, affine[None], 64)[0])
    assert cut(image, affines[:0], 64).shape == (0, 3, 64, 64)


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


def test_beyond_the_border_the_camera_at_the_border_holds():
    np.testing.assert_array_equal(
        local_intrinsics(LENS, np.array([900.0, 100.0])), local_intrinsics(LENS, np.array([639.5, 100.0]))
    )


def test_without_distortion_the_local_camera_is_the_camera():
    camera = Camera(LENS.matrix, 640, 480)
    assert local_intrinsics(camera, np.array([3.0, 4.0])) is camera.matrix


@pytest.mark.parametrize(("width", "height"), [(640, 480), (480, 640)])
def test_an_unknown_camera_sees_53_degrees_across(width, height):
    camera = image_camera(np.zeros((height, width, 3), np.uint8), None)
    assert (camera.width, camera.height) == (width, height)
    across = np.abs(np.array([-0.5, max(width, height) - 0.5]) - max(camera.matrix[:2, 2])) / camera.matrix[0, 0]
    np.testing.assert_allclose(2 * np.degrees(np.arctan(across)), 53.13, atol=0.01)
    assert camera.matrix[0, 0] == camera.matrix[1, 1]


def test_a_known_camera_is_taken():
    assert image_camera(np.zeros((480, 640, 3), np.uint8), LENS) is LENS
