"""Square crops: the affine transform, the intrinsics of a crop, letterboxing and warping."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.cameras import intrinsics, points_in_view
from torch.testing import assert_close

from lgnet_core.geometry.affine import transform_points
from lgnet_core.geometry.camera import project
from lgnet_core.geometry.crops import bounding_box, crop_intrinsics, letterbox, square_crop, warp

SIZE = 256
ANGLES = st.floats(-3.1, 3.1)


@st.composite
def boxes(draw):
    left, top = draw(st.floats(-200, 1500)), draw(st.floats(-200, 1000))
    return np.array([left, top, left + draw(st.floats(5, 800)), top + draw(st.floats(5, 800))])


@given(box=boxes(), angle=ANGLES, margin=st.floats(1, 2))
def test_crop_is_centred_on_its_box_and_contains_it(box, angle, margin):
    affine = square_crop(box, SIZE, margin, angle)
    centre = transform_points(affine, (box[:2] + box[2:])[None] / 2)
    assert np.abs(centre - (SIZE - 1) / 2).max() < 1e-6
    corners = transform_points(affine, box[[[0, 1], [2, 1], [2, 3], [0, 3]]])
    longest = max(np.ptp(box[::2]), np.ptp(box[1::2])) * margin
    sides = np.linalg.norm(np.diff(corners, axis=0), axis=1)
    assert_close(sides[:2], np.array([np.ptp(box[::2]), np.ptp(box[1::2])]) * SIZE / longest, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("box", [[10, 10, 10, 10], [0, 0, np.nan, 5], [5, 5, 1, 1]])
def test_empty_box_is_rejected(box):
    with pytest.raises(ValueError, match="no extent"):
        square_crop(np.array(box, float), SIZE)


@given(width=st.integers(10, 4000), height=st.integers(10, 4000))
def test_letterbox_contains_the_whole_image(width, height):
    affine = letterbox(width, height, SIZE)
    corners = transform_points(affine, np.array([[-0.5, -0.5], [width - 0.5, height - 0.5]]))
    assert corners.min() > -0.5 - 1e-6
    assert corners.max() < SIZE - 0.5 + 1e-6
    assert np.ptp(corners, axis=0).max() == pytest.approx(SIZE)


@given(box=boxes(), angle=ANGLES, matrix=intrinsics(), seed=st.integers(0, 1000))
def test_crop_intrinsics_project_rotated_points_to_crop_pixels(box, angle, matrix, seed):
    """A K = K' R_z: projecting and cropping equals rotating and projecting with the intrinsics of the crop."""
    affine = square_crop(box, SIZE, rotation=angle)
    cropped, rotation = crop_intrinsics(affine, matrix)
    points = points_in_view(seed)
    expected = transform_points(affine, project(torch.from_numpy(points), torch.from_numpy(matrix)).numpy())
    pixels = project(torch.from_numpy(points @ rotation.T), torch.from_numpy(cropped)).numpy()
    assert np.abs(pixels - expected).max() < 1e-4
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)


@pytest.mark.parametrize("side", [200.0, 1500.0])
def test_warp_agrees_with_the_affine_transform(side):
    """The centre of mass of a Gaussian blob is transformed with 0.05 px accuracy, when enlarging and when shrinking."""
    centre = np.array([801.3, 602.7])
    v, u = np.mgrid[:1200, :1600]
    spread = side / 25
    spot = np.exp(-((u - centre[0]) ** 2 + (v - centre[1]) ** 2) / (2 * spread**2)).astype(np.float32)
    box = np.array([centre[0] - side / 2 + 20, centre[1] - side / 2, centre[0] + side / 2 + 20, centre[1] + side / 2])
    affine = square_crop(box, SIZE, margin=1.0, rotation=0.3)
    crop = warp(spot, affine, SIZE)
    v, u = np.mgrid[:SIZE, :SIZE]
    mass = np.array([(crop * u).sum(), (crop * v).sum()]) / crop.sum()
    assert np.abs(mass - transform_points(affine, centre[None])[0]).max() < 0.05


def test_bounding_box_of_points():
    assert bounding_box(np.array([[3.0, 5.0], [1.0, 9.0], [2.0, 7.0]])).tolist() == [1, 5, 3, 9]
