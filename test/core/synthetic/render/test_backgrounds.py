"""Backgrounds: determinism, resolution independence and variety."""

import pytest
import torch

from lgnet_core.synthetic.render.backgrounds import LAYERS, Backgrounds
from lgnet_core.synthetic.rng import CounterRng
from lgnet_core.synthetic.splits import Split


@pytest.fixture(scope="module")
def backgrounds():
    return Backgrounds()


def test_shape_range_and_determinism(backgrounds):
    indices = torch.arange(8)
    images = backgrounds(48, 80, CounterRng(2, indices))
    assert images.shape == (8, 3, 48, 80)
    assert images.min() >= 0
    assert images.max() <= 1
    torch.testing.assert_close(backgrounds(48, 80, CounterRng(2, indices[3:5])), images[3:5], rtol=0, atol=1e-6)


def test_image_content_is_independent_of_resolution(backgrounds):
    rng = CounterRng(2, torch.arange(16))
    small, large = backgrounds(64, 64, rng), backgrounds(128, 128, rng)
    shrunk = torch.nn.functional.avg_pool2d(large, 2)
    assert (shrunk - small).abs().mean() < 0.05


def test_backgrounds_vary_in_brightness_detail_and_colour(backgrounds):
    images = torch.cat([backgrounds(48, 48, CounterRng(4, part)) for part in torch.arange(2048).split(256)])
    level = images.mean((1, 2, 3))
    detail = images.mean(1).std((1, 2))
    colour = (images.amax(1) - images.amin(1)).mean((1, 2))
    for quantity, low, high in ((level, 0.12, 0.6), (detail, 0.03, 0.2), (colour, 0.05, 0.3)):
        assert (quantity < low).float().mean() > 0.05
        assert (quantity > high).float().mean() > 0.05


def test_all_layers_and_textures_are_used(backgrounds):
    rng = CounterRng(6, torch.arange(400))
    axis = torch.linspace(-1, 1, 32)
    layer, dimming = backgrounds._topmost_layer(axis[None, None, :], axis[None, :, None], rng)
    assert set((layer % LAYERS).unique().tolist()) == set(range(LAYERS))
    assert torch.equal(layer // LAYERS, torch.arange(400)[:, None, None].expand_as(layer))
    assert dimming.min() >= 0.39
    assert dimming.max() == 1
    held_out = CounterRng(6, rng.indices, split=Split.HELD_OUT)
    training, reserved = (set(backgrounds._layer_parameters(split)[6].long().tolist()) for split in (rng, held_out))
    assert training | reserved == set(range(backgrounds.photo_count + backgrounds.noise_count))
    assert not training & reserved
    assert {tile // 3 for tile in reserved if tile < backgrounds.photo_count} == {3, 4}, (
        "all variants of two photographs"
    )


def test_textures_repeat_mirrored(backgrounds):
    """Textures are mirrored beyond their edges, without bleeding of neighbouring tiles of the atlas."""
    u = torch.linspace(0, 1, 33)[None, None]
    tile = torch.full_like(u, 3.0)
    across = [backgrounds.sample_texture(t, torch.full_like(u, 0.25), tile) for t in (u, -u, 2 - u, u + 2)]
    down = [backgrounds.sample_texture(torch.full_like(u, 0.25), t, tile) for t in (u, -u, 2 - u, u + 2)]
    for first, *others in (across, down):
        assert first.std() > 0
        for other in others:
            torch.testing.assert_close(other, first, rtol=0, atol=2e-4)
