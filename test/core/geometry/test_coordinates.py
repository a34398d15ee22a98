"""Pixel, grid and normalised coordinates: round trips, alignment of cells and pixels, and mirroring."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from lgnet_core.geometry.coordinates import (
    depth_to_grid,
    grid_to_depth,
    grid_to_pixels,
    normalised_to_pixels,
    pixels_to_grid,
    pixels_to_normalised,
)

COORDINATES = st.floats(-500, 2500, allow_nan=False)
SIZES = st.sampled_from([32, 64, 256, 512])


@given(u=COORDINATES, size=SIZES, cells=st.sampled_from([1, 8, 16, 64]))
def test_grid_round_trip(u, size, cells):
    pixels = torch.tensor([u], dtype=torch.float64)
    grid = pixels_to_grid(pixels, size, cells)
    assert_close(grid_to_pixels(grid, size, cells), pixels, atol=1e-9, rtol=0)
    single = grid_to_pixels(pixels_to_grid(pixels.float(), size, cells), size, cells)
    assert_close(single.double(), pixels, atol=1e-3, rtol=0)


def test_grid_cells_are_aligned_with_pixels():
    """8 cells of 32 pixels each: cell 0 covers pixels 0 to 31, centred at 15.5; image borders map to grid borders."""
    pixels = torch.tensor([15.5, 47.5, 239.5, -0.5, 255.5])
    assert_close(pixels_to_grid(pixels, 256, 8), torch.tensor([0.0, 1.0, 7.0, -0.5, 7.5]))
    assert_close(pixels_to_normalised(pixels, 256)[3:], torch.tensor([-1.0, 1.0]))


@given(u=COORDINATES, size=SIZES)
def test_normalised_round_trip(u, size):
    pixels = torch.tensor([u], dtype=torch.float64)
    assert_close(normalised_to_pixels(pixels_to_normalised(pixels, size), size), pixels, atol=1e-9, rtol=0)


@given(u=st.floats(0, 255), size=st.just(256))
def test_mirroring_commutes_with_the_conversions(u, size):
    pixels = torch.tensor([u], dtype=torch.float64)
    mirrored = size - 1 - pixels
    assert_close(pixels_to_normalised(mirrored, size), -pixels_to_normalised(pixels, size))
    assert_close(pixels_to_grid(mirrored, size, 8), 7 - pixels_to_grid(pixels, size, 8))


@given(depth=st.floats(-1, 1), box=st.sampled_from([0.3, 0.5]))
def test_depth_round_trip_and_centre(depth, box):
    z = torch.tensor([depth], dtype=torch.float64)
    assert_close(grid_to_depth(depth_to_grid(z, box, 8), box, 8), z, atol=1e-12, rtol=0)
    assert_close(depth_to_grid(torch.tensor([-box / 2, 0.0, box / 2]), box, 8), torch.tensor([-0.5, 3.5, 7.5]))
