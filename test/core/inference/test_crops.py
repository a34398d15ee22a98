"""Crop extraction: the same pixels as a warp of the whole image."""

import numpy as np
import pytest

from lgnet_core.geometry.crops import letterbox, square_crop, warp
from lgnet_core.inference.crops import extract_crops

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
    ids=["whole", "enlarged", "rotated", "mirrored", "corner", "shrunk"],
)
def test_windowed_warp_matches_a_warp_of_the_whole_image(image, affine):
    """Only when shrinking the result may differ, as area averaging starts at another pixel."""
    size = 32 if affine[0, 0] ** 2 + affine[0, 1] ** 2 < 0.25**2 else 64
    (crop,) = extract_crops(image, affine[None], size)
    expected = warp(image, affine, size).transpose(2, 0, 1) / 255
    shrinks = np.sqrt(abs(np.linalg.det(affine[:, :2]))) < 0.5
    if shrinks:
        assert np.abs(crop - expected).mean() < 0.06
    else:
        np.testing.assert_allclose(crop, expected, atol=1.01 / 255)
    assert crop.dtype == np.float32


def test_shrunk_crops_of_smooth_images_match():
    v, u = np.mgrid[:960, :1280]
    smooth = np.stack([u / 5, v / 4, (u + v) / 9], -1).astype(np.uint8)
    affine = square_crop(np.array([300.0, 200, 1000, 800]), 128, rotation=0.3)
    (crop,) = extract_crops(smooth, affine[None], 128)
    np.testing.assert_allclose(crop, warp(smooth, affine, 128).transpose(2, 0, 1) / 255, atol=2.5 / 255)


def test_a_crop_outside_the_image_is_black(image):
    affine = square_crop(np.array([1000.0, 1000, 1100, 1100]), 64)
    assert not extract_crops(image, affine[None], 64).any()


def test_crops_of_a_batch_are_independent(image):
    affines = np.stack([square_crop(np.array([u, 90.0, u + 40, 130]), 64) for u in (20.0, 100, 200)])
    crops = extract_crops(image, affines, 64)
    for crop, affine in zip(crops, affines, strict=True):
        np.testing.assert_array_equal(crop, extract_crops(image, affine[None], 64)[0])
    assert extract_crops(image, affines[:0], 64).shape == (0, 3, 64, 64)
