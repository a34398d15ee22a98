"""Map sampling, position embeddings, per-hand modules."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from lgnet_core.geometry.coordinates import pixels_to_grid, pixels_to_normalised
from lgnet_core.network.layers import (
    GATHER_MIN_CHANNELS,
    PerHand,
    PositionEmbedding,
    map_to_tokens,
    sample_map,
    sample_small_map,
    tokens_to_map,
)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def cells_to_normalised(cells, size):
    return (2 * cells + 1) / size - 1


def test_sampling_at_a_cell_centre_gives_that_cell():
    features = torch.arange(2 * 3 * 4 * 4, dtype=torch.float32).view(2, 3, 4, 4)
    v, u = torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij")
    points = cells_to_normalised(torch.stack([u.flatten(), v.flatten()], -1).float(), 4).expand(2, -1, -1)
    expected = features.flatten(2).transpose(1, 2)
    assert_close(sample_map(features, points), expected)
    assert_close(sample_small_map(features, points), expected)


@given(x=st.floats(-1.5, 1.5), y=st.floats(-1.5, 1.5), seed=st.integers(0, 99))
def test_small_map_sampling_equals_grid_sample(x, y, seed):
    features = torch.randn(1, 2, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    points = torch.tensor([[[x, y]]], dtype=torch.float64)
    assert_close(sample_small_map(features, points), sample_map(features, points), atol=1e-10, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(2, 2), (6, 9), (64, 64)])
def test_exported_sampling_by_gather_agrees(height, width, monkeypatch):
    features = torch.randn(3, GATHER_MIN_CHANNELS, height, width, dtype=torch.float64)
    edges = torch.cartesian_prod(*[torch.tensor([-1.5, -1.0, 1 / width - 1, 0.0, 1 - 1 / width, 1.0, 1.5])] * 2)
    points = torch.cat([edges.expand(3, -1, -1), torch.rand(3, 50, 2) * 3 - 1.5], 1).double()
    expected = sample_map(features, points)
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    monkeypatch.setattr(torch.nn.functional, "grid_sample", None)  # must not be called
    assert_close(sample_map(features, points), expected)


def test_exported_small_map_sampling_agrees(monkeypatch):
    features, points = torch.randn(3, 4, 5, 7, dtype=torch.float64), torch.rand(3, 50, 2, dtype=torch.float64) * 3 - 1.5
    expected = sample_small_map(features, points)
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    assert_close(sample_small_map(features, points), expected)


def test_tokens_round_trip():
    features = torch.randn(2, 3, 4, 5)
    tokens = map_to_tokens(features)
    assert torch.equal(tokens[1, 2 * 5 + 3], features[1, :, 2, 3])
    assert torch.equal(tokens_to_map(tokens, features), features)


def test_gradients_of_both_sampling_functions_agree():
    features = torch.randn(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    points = torch.rand(2, 11, 2, dtype=torch.float64) * 2 - 1
    weight = torch.randn(2, 11, 3, dtype=torch.float64)
    gradients = [
        torch.autograd.grad((sample(features, points) * weight).sum(), features)[0]
        for sample in (sample_map, sample_small_map)
    ]
    assert_close(*gradients)


def test_sampling_agrees_with_the_pixel_and_grid_conventions():
    """Sampling a map of cell coordinates at a pixel gives the grid coordinates of the pixel."""
    ramp = torch.arange(8, dtype=torch.float64)
    features = torch.stack([ramp.expand(8, 8), ramp[:, None].expand(8, 8)])[None]  # (1, 2, 8, 8): u, v
    pixels = torch.rand(1, 100, 2, dtype=torch.float64) * 223 + 16  # within the outer cells' centres
    sampled = sample_small_map(features, pixels_to_normalised(pixels, 256))
    assert_close(sampled, pixels_to_grid(pixels, 256, 8))


def test_position_embedding_is_interpolated_to_other_sizes():
    embedding = PositionEmbedding(6)
    assert embedding(torch.zeros(1, 6, 8, 8)) is embedding.weight
    nn.init.constant_(embedding.weight, 0.3)
    assert_close(embedding(torch.zeros(1, 6, 4, 4)), torch.full((6, 4, 4), 0.3))


def test_per_hand_applies_separate_weights():
    both = PerHand(lambda: nn.Linear(3, 2))
    x = torch.randn(5, 2, 3)
    y = both(x)
    assert y.shape == (5, 2, 2)
    for side in range(2):
        assert_close(y[:, side], both[side](x[:, side]))
    assert not torch.equal(both[0].weight, both[1].weight)
