"""What a processor makes of light: each effect does what it says, and only that."""

import torch

from lgnet_core.synthetic.camera.processing import (
    HALO_WIDTH,
    MISSED_STOPS,
    TINT,
    WARMTH,
    colour_cast,
    greyscale,
    missed_exposure,
    missed_stops,
    sharpen,
    tone_curve,
)
from lgnet_core.synthetic.random import Draws

MANY = torch.arange(64)


def draws(count=64):
    return Draws(1, torch.arange(count))


def colours(count=64, size=24):
    return draws(count).uniform("image", 3, size, size)


def test_exposure_misses_both_ways_and_spares_white_and_black():
    stops = missed_stops(draws(2000))
    assert (stops.abs() >= MISSED_STOPS[0]).all()
    assert (stops.abs() <= MISSED_STOPS[1]).all()
    assert 0.45 < (stops > 0).float().mean() < 0.55

    def changed(level):
        """Stops by which grey images of one display value are changed."""
        light = torch.full((64, 3, 4, 4), level**2)
        return (missed_exposure(light, draws()) / light).log2()[:, 0, 0, 0]

    expected = stops[:64]
    over = expected > 0
    torch.testing.assert_close(changed(0.3), expected)
    assert (changed(0.9)[over] < 0.35).all(), "what is white is not made much brighter"
    assert (changed(0.02)[~over] > -0.35).all(), "what is black is not made much darker"


def test_casts_change_red_and_blue_against_each_other():
    grey = torch.full((500, 3, 2, 2), 0.4)
    seen = colour_cast(grey, draws(500))[:, :, 0, 0]
    torch.testing.assert_close(seen[:, 1], grey[:, 1, 0, 0])
    red, blue = (seen[:, channel] / seen[:, 1] for channel in (0, 2))
    assert red.log().abs().max() <= WARMTH + TINT
    assert torch.corrcoef(torch.stack([red.log(), blue.log()]))[0, 1] < -0.5
    assert (red > 1.15).float().mean() > 0.1
    assert (red < 0.85).float().mean() > 0.1


def test_grey_images_have_equal_channels_and_keep_grey():
    seen = greyscale(colours(), draws())
    assert (seen == seen[:, :1]).all()
    ramp = torch.linspace(0, 1, 100).view(1, 1, 10, 10).expand(64, 3, 10, 10)
    torch.testing.assert_close(greyscale(ramp, draws()), ramp)
    primaries = torch.eye(3).view(1, 3, 1, 3).expand(64, 3, 1, 3)
    shown = greyscale(primaries, draws())[:, 0, 0]
    torch.testing.assert_close(shown.sum(1), torch.ones(64))
    assert (shown.std(0) > 0.02).all(), "cameras differ in how they see colours"


def test_tone_curves_keep_the_order_white_and_range_and_differ():
    ramp = torch.linspace(0, 1, 256).view(1, 1, 1, 256).expand(64, 3, 1, 256)
    seen = tone_curve(ramp, draws())
    assert (seen.diff(dim=3) >= -1e-6).all()
    torch.testing.assert_close(seen[..., -1], torch.ones(64, 3, 1))
    assert seen.min() >= 0
    black = seen[:, 0, 0, 0]
    assert 0.3 < (black > 0).float().mean() < 0.7, "some lift black, some crush it"
    crushed = (seen[:, 0, 0] == 0).sum(1)
    assert crushed.max() > 10
    slope = (seen[:, 0, 0, 140] - seen[:, 0, 0, 116]) / (24 / 255)
    assert slope.max() > 1.2
    assert slope.min() < 0.95


def test_sharpening_leaves_flat_areas_and_puts_halos_along_edges():
    flat = torch.full((8, 3, 32, 32), 0.4)
    torch.testing.assert_close(sharpen(flat, draws(8)), flat)
    width = 256
    edge = torch.where(torch.arange(width) < width // 2, 0.3, 0.6).expand(8, 3, 16, width)
    seen = sharpen(edge, draws(8))[:, 0, 8]
    assert (seen[:, width // 2] > 0.65).all()
    assert (seen[:, width // 2 - 1] < 0.25).all()
    reach = int(4 * HALO_WIDTH[1] * width)
    torch.testing.assert_close(seen[:, : width // 2 - reach], torch.full((8, width // 2 - reach), 0.3))
    torch.testing.assert_close(seen[:, width // 2 + reach :], torch.full((8, width // 2 - reach), 0.6))


def test_sharpening_of_colours_keeps_their_differences():
    image = 0.3 + 0.2 * colours(8)
    seen = sharpen(image, draws(8))
    torch.testing.assert_close(seen[:, 0] - seen[:, 2], image[:, 0] - image[:, 2], rtol=0, atol=1e-5)
