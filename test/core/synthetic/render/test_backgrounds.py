"""Backgrounds: deterministic, of any size, and of many kinds."""

import pytest
import torch

from lgnet_core.synthetic.random import Draws
from lgnet_core.synthetic.render.backgrounds import LAYERS, Backgrounds
from lgnet_core.synthetic.reserved import Part


@pytest.fixture(scope="module")
def backgrounds():
    return Backgrounds()


def test_shape_range_and_determinism(backgrounds):
    indices = torch.arange(8)
    images = backgrounds(48, 80, Draws(2, indices))
    assert images.shape == (8, 3, 48, 80)
    assert images.min() >= 0
    assert images.max() <= 1
    torch.testing.assert_close(backgrounds(48, 80, Draws(2, indices[3:5])), images[3:5], rtol=0, atol=1e-6)


def test_size_changes_the_resolution_not_the_image(backgrounds):
    draws = Draws(2, torch.arange(16))
    small, large = backgrounds(64, 64, draws), backgrounds(128, 128, draws)
    shrunk = torch.nn.functional.avg_pool2d(large, 2)
    assert (shrunk - small).abs().mean() < 0.05


def test_dark_and_bright_plain_and_busy_grey_and_colourful(backgrounds):
    images = torch.cat([backgrounds(48, 48, Draws(4, part)) for part in torch.arange(2048).split(256)])
    level = images.mean((1, 2, 3))
    detail = images.mean(1).std((1, 2))
    colour = (images.amax(1) - images.amin(1)).mean((1, 2))
    for quantity, low, high in ((level, 0.12, 0.6), (detail, 0.03, 0.2), (colour, 0.05, 0.3)):
        assert (quantity < low).float().mean() > 0.05
        assert (quantity > high).float().mean() > 0.05


def test_every_layer_and_texture_is_used(backgrounds):
    draws = Draws(6, torch.arange(400))
    axis = torch.linspace(-1, 1, 32)
    layer, dimming = backgrounds._topmost(axis[None, None, :], axis[None, :, None], draws)
    assert set((layer % LAYERS).unique().tolist()) == set(range(LAYERS))
    assert torch.equal(layer // LAYERS, torch.arange(400)[:, None, None].expand_as(layer))
    assert dimming.min() >= 0.39
    assert dimming.max() == 1
    held_out = Draws(6, draws.indices, part=Part.HELD_OUT)
    trained, kept = (set(backgrounds._materials(part)[6].long().tolist()) for part in (draws, held_out))
    assert trained | kept == set(range(backgrounds.photo_count + backgrounds.noise_count))
    assert not trained & kept
    assert {tile // 3 for tile in kept if tile < backgrounds.photo_count} == {3, 4}, "two photographs, all variants"


def test_textures_repeat_mirrored(backgrounds):
    """Beyond its edges a texture goes on as its mirror image, without its neighbours of the atlas bleeding in."""
    u = torch.linspace(0, 1, 33)[None, None]
    tile = torch.full_like(u, 3.0)
    across = [backgrounds.sample(t, torch.full_like(u, 0.25), tile) for t in (u, -u, 2 - u, u + 2)]
    down = [backgrounds.sample(torch.full_like(u, 0.25), t, tile) for t in (u, -u, 2 - u, u + 2)]
    for first, *others in (across, down):
        assert first.std() > 0
        for other in others:
            torch.testing.assert_close(other, first, rtol=0, atol=2e-4)
