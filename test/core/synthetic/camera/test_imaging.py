"""The camera: how often each effect is met, what its noise is like, and that no image sees another."""

import pytest
import torch

from lgnet_core.synthetic.camera import sensor as module
from lgnet_core.synthetic.camera.sensor import Sensor, noise_fields, white_electrons
from lgnet_core.synthetic.random import Draws
from lgnet_core.synthetic.scene.appearance import INFRARED, infrared

MANY = torch.arange(64)
SHARES = {
    "motion_blur": module.MOVING,
    "defocus": module.DEFOCUSED,
    "vignette": module.VIGNETTED,
    "infrared_spot": INFRARED,
    "missed_exposure": module.MISEXPOSED,
    "noise": 1 - module.CLEAN,
    "colour_cast": module.CAST,
    "greyscale": 1 - (1 - INFRARED) * (1 - module.GREY),
    "tone_curve": module.TONED,
    "sharpen": module.SHARPENED,
    "compress_some": module.COMPRESSED,
}


@pytest.fixture(scope="module")
def sensor():
    return Sensor()


def test_each_effect_is_as_frequent_as_named(sensor, monkeypatch):
    count, met = 4000, {}

    def noting(image, chosen, effect, draws):
        met[getattr(effect, "func", effect).__name__] = chosen.float().mean().item()
        return image

    monkeypatch.setattr(sensor, "_some", noting)
    sensor(torch.zeros(count, 3, 2, 2), Draws(1, torch.arange(count)))
    assert met.keys() == SHARES.keys()
    for name, share in SHARES.items():
        assert abs(met[name] - share) < 4 * (share * (1 - share) / count) ** 0.5, name


def test_most_images_are_those_of_a_decent_camera():
    """Neither smeared nor out of focus, nor badly exposed, nor of high gain."""
    draws = Draws(1, torch.arange(4000))
    bad = draws.bernoulli("sensor/moving", module.MOVING) | draws.bernoulli("sensor/defocused", module.DEFOCUSED)
    bad |= module.misexposed(draws) | infrared(draws) | (white_electrons(draws) < module.ELECTRONS[0])
    assert bad.float().mean() < 0.4


def test_noise_grows_with_the_light_as_counting_does(sensor):
    draws = Draws(1, MANY)
    electrons = white_electrons(draws)
    variances = []
    for level in (0.0, 0.25, 0.5):
        noise = sensor.noise(torch.full((64, 3, 64, 64), level), draws) - level
        assert noise.mean().abs() < 2e-3
        variances.append(noise.var((1, 2, 3)) * (256 / 64) ** 2)  # small images average noise
    dark, grey, bright = variances
    assert (dark > 0).all()
    assert (dark < 10 / electrons**2).all()
    for lit, level in ((grey, 0.25), (bright, 0.5)):
        torch.testing.assert_close((lit - dark) * electrons, torch.full((64,), level), rtol=0.2, atol=0)


def test_dark_images_are_noisier():
    draws = Draws(1, torch.arange(20_000))
    under = module.misexposed(draws) & (module.processing.missed_stops(draws) < 0)
    noisy = white_electrons(draws) < module.ELECTRONS[0]
    assert noisy[under].float().mean() > 0.4
    assert noisy[~under].float().mean() < 0.15


def test_fields_are_standard_periodic_and_of_three_kinds():
    fields = noise_fields()
    torch.testing.assert_close(fields.mean((2, 3)), torch.zeros(3, 3), rtol=0, atol=1e-4)
    torch.testing.assert_close(fields.std((2, 3)), torch.ones(3, 3), rtol=0, atol=1e-3)
    white, mosaic, denoised = ((f * f.roll(1, -1)).mean().item() for f in fields)
    assert abs(white) < 0.02 < 0.2 < mosaic < denoised
    for f in fields:
        seam, inner = (f[..., 0] - f[..., -1]).abs().mean(), (f[..., 1] - f[..., 0]).abs().mean()
        assert seam < 1.2 * inner


def test_noise_differs_from_image_to_image_and_reaches_every_size(sensor):
    draws = Draws(1, MANY[:8])
    noise = sensor._field(48, 300, draws).flatten(1)
    assert noise.shape == (8, 3 * 48 * 300)
    assert (torch.corrcoef(noise) - torch.eye(8)).abs().max() < 0.2


def test_small_images_of_a_scene_are_as_noisy_as_large_ones_scaled_down(sensor):
    white = (Draws(1, MANY).choice("sensor/noise kind", [1.0] * 3) == 0).nonzero()[:, 0]
    draws = Draws(1, MANY[white])
    large, small = (sensor.noise(torch.full((len(white), 3, s, s), 0.4), draws) for s in (256, 128))
    scaled = torch.nn.functional.avg_pool2d(large, 2)
    torch.testing.assert_close(scaled.std((1, 2, 3)), small.std((1, 2, 3)), rtol=0.05, atol=0)


def test_images_stay_in_range_and_most_stay_close(sensor):
    scene = torch.nn.functional.interpolate(Draws(2, MANY).uniform("image", 3, 6, 6), size=(64, 64), mode="bicubic")
    scene = scene.clamp(0, 1)
    seen = sensor(scene.clone(), Draws(1, MANY))
    assert seen.shape == scene.shape
    assert seen.min() >= 0
    assert seen.max() <= 1
    assert (seen - scene).abs().mean((1, 2, 3)).median() < 0.08


def test_each_image_on_its_own(sensor):
    scene = Draws(2, MANY).uniform("image", 3, 32, 32)
    together = sensor(scene.clone(), Draws(1, MANY))
    for k in (5, 11, 40):
        alone = sensor(scene[k : k + 1].clone(), Draws(1, MANY[k : k + 1]))
        # a coefficient of JPEG on the edge of rounding may fall to the other side
        assert ((alone - together[k : k + 1]).abs() > 1e-5).float().mean() < 0.05
