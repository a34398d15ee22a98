"""InterNet: heatmap volumes, peak finding and grid conversion."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.volumes import gaussian_volume
from torch.testing import assert_close

from lgnet_core.geometry.coordinates import depth_to_grid, pixels_to_grid
from lgnet_core.network.baselines.internet import MIN_CONFIDENCE, InterNet, find_peaks, voxels_to_grid


@given(centre=st.tuples(*[st.floats(6, 57)] * 3), height=st.floats(0.6, 1.0))
def test_low_peak_is_found(centre, height):
    volumes = torch.zeros(1, 2, 21, 64, 64, 64)
    volumes[0, 1, 5] = height * gaussian_volume(centre, 64)
    peaks = find_peaks(volumes[:, :, 5:6].expand(1, 2, 1, 64, 64, 64))
    assert_close(peaks.voxels[0, 1, 0], torch.tensor(centre, dtype=torch.float32), atol=1.5, rtol=0)
    assert height - 0.1 < peaks.confidence[0, 1, 0] <= height
    assert peaks.confidence[0, 0, 0] == pytest.approx(MIN_CONFIDENCE)
    assert_close(peaks.voxels[0, 0, 0], torch.full((3,), 31.5))  # an empty volume: its centre


@given(centre=st.tuples(*[st.floats(10, 53)] * 3))
def test_full_peak_is_found_to_a_tenth_of_a_voxel(centre):
    volumes = gaussian_volume(centre, 64).expand(1, 2, 1, 64, 64, 64)
    assert_close(find_peaks(volumes).voxels[0, 0, 0], torch.tensor(centre, dtype=torch.float32), atol=0.1, rtol=0)


@given(u=st.floats(-0.5, 255.5), z=st.floats(-0.25, 0.25))
def test_voxels_and_grid_cells_cover_the_same_box(u, z):
    """Converting a pixel and a depth to voxels and then to cells equals converting them to cells directly."""
    pixel = torch.tensor([u, 255.0 - u])
    voxels = torch.cat([pixels_to_grid(pixel, 256, 64), depth_to_grid(torch.tensor([z]), 0.5, 32)])
    cells = voxels_to_grid(voxels, torch.empty(32, 64, 64), 8)
    expected = torch.cat([pixels_to_grid(pixel, 256, 8), depth_to_grid(torch.tensor([z]), 0.5, 8)])
    assert_close(cells, expected, atol=1e-5, rtol=0)


def test_shapes():
    """As in the paper: 64 voxels per side for a crop of 256 pixels."""
    net = InterNet("efficientnet_lite0", 8, 64).eval()
    with torch.no_grad():
        volumes, presence = net(torch.rand(1, 3, 256, 256))
    assert volumes.shape == (1, 2, 21, 64, 64, 64)
    assert presence.shape == (1, 2)
    assert volumes.abs().max() < 0.1  # close to zero at first
