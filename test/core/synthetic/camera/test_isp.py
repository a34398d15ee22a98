"""Image signal processing: direction, range and invariants of each effect."""

import torch

from lgnet_core.synthetic.camera.isp import (
    EXPOSURE_ERROR_STOPS,
    MAX_TINT,
    MAX_WARMTH,
    SHARPENING_SIGMA,
    colour_cast,
    exposure_error,
    greyscale,
    sample_exposure_error_stops,
    sharpen,
    tone_curve,
)
from lgnet_core.synthetic.rng import CounterRng

MANY = torch.arange(64)


def make_rng(count=64):
    return CounterRng(1, torch.arange(count))


def colours(count=64, size=24):
    return make_rng(count).uniform("image", 3, size, size)


def test_exposure_errors_are_symmetric_and_spare_white_and_black():
    stops = sample_exposure_error_stops(make_rng(2000))
    assert (stops.abs() >= EXPOSURE_ERROR_STOPS[0]).all()
    assert (stops.abs() <= EXPOSURE_ERROR_STOPS[1]).all()
    assert 0.45 < (stops > 0).float().mean() < 0.55

    def changed(level):
        """Exposure change of uniform grey images of a display value, stops."""
        light = torch.full((64, 3, 4, 4), level**2)
        return (exposure_error(light, make_rng()) / light).log2()[:, 0, 0, 0]

    expected = stops[:64]
    over = expected > 0
    torch.testing.assert_close(changed(0.3), expected)
    assert (changed(0.9)[over] < 0.35).all(), "white images are hardly brightened"
    assert (changed(0.02)[~over] > -0.35).all(), "black images are hardly darkened"


def test_colour_casts_change_red_and_blue_in_opposite_directions():
    grey = torch.full((500, 3, 2, 2), 0.4)
    output = colour_cast(grey, make_rng(500))[:, :, 0, 0]
    torch.testing.assert_close(output[:, 1], grey[:, 1, 0, 0])
    red, blue = (output[:, channel] / output[:, 1] for channel in (0, 2))
    assert red.log().abs().max() <= MAX_WARMTH + MAX_TINT
    assert torch.corrcoef(torch.stack([red.log(), blue.log()]))[0, 1] < -0.5
    assert (red > 1.15).float().mean() > 0.1
    assert (red < 0.85).float().mean() > 0.1


def test_greyscale_has_equal_channels_and_preserves_grey():
    output = greyscale(colours(), make_rng())
    assert (output == output[:, :1]).all()
    ramp = torch.linspace(0, 1, 100).view(1, 1, 10, 10).expand(64, 3, 10, 10)
    torch.testing.assert_close(greyscale(ramp, make_rng()), ramp)
    primaries = torch.eye(3).view(1, 3, 1, 3).expand(64, 3, 1, 3)
    shown = greyscale(primaries, make_rng())[:, 0, 0]
    torch.testing.assert_close(shown.sum(1), torch.ones(64))
    assert (shown.std(0) > 0.02).all(), "spectral weights vary"


def test_tone_curves_are_monotonic_and_vary():
    ramp = torch.linspace(0, 1, 256).view(1, 1, 1, 256).expand(64, 3, 1, 256)
    output = tone_curve(ramp, make_rng())
    assert (output.diff(dim=3) >= -1e-6).all()
    torch.testing.assert_close(output[..., -1], torch.ones(64, 3, 1))
    assert output.min() >= 0
    black = output[:, 0, 0, 0]
    assert 0.3 < (black > 0).float().mean() < 0.7, "black is lifted or crushed"
    crushed = (output[:, 0, 0] == 0).sum(1)
    assert crushed.max() > 10
    slope = (output[:, 0, 0, 140] - output[:, 0, 0, 116]) / (24 / 255)
    assert slope.max() > 1.2
    assert slope.min() < 0.95


def test_sharpening_adds_halos_only_at_edges():
    flat = torch.full((8, 3, 32, 32), 0.4)
    torch.testing.assert_close(sharpen(flat, make_rng(8)), flat)
    width = 256
    edge = torch.where(torch.arange(width) < width // 2, 0.3, 0.6).expand(8, 3, 16, width)
    output = sharpen(edge, make_rng(8))[:, 0, 8]
    assert (output[:, width // 2] > 0.65).all()
    assert (output[:, width // 2 - 1] < 0.25).all()
    reach = int(4 * SHARPENING_SIGMA[1] * width)
    torch.testing.assert_close(output[:, : width // 2 - reach], torch.full((8, width // 2 - reach), 0.3))
    torch.testing.assert_close(output[:, width // 2 + reach :], torch.full((8, width // 2 - reach), 0.6))


def test_sharpening_preserves_colour_differences():
    image = 0.3 + 0.2 * colours(8)
    output = sharpen(image, make_rng(8))
    torch.testing.assert_close(output[:, 0] - output[:, 2], image[:, 0] - image[:, 2], rtol=0, atol=1e-5)
