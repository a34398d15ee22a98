"""Imaging pipeline: effect frequencies, noise statistics, independence of images."""

import pytest
import torch

from lgnet_core.synthetic.camera import imaging as module
from lgnet_core.synthetic.camera.imaging import ImagingPipeline, noise_fields, sample_full_scale_electrons
from lgnet_core.synthetic.rng import CounterRng
from lgnet_core.synthetic.scene.appearance import INFRARED_PROBABILITY, sample_infrared

MANY = torch.arange(64)
PROBABILITIES = {
    "motion_blur": module.MOTION_BLUR_PROBABILITY,
    "defocus": module.DEFOCUS_PROBABILITY,
    "vignette": module.VIGNETTE_PROBABILITY,
    "infrared_spot": INFRARED_PROBABILITY,
    "exposure_error": module.EXPOSURE_ERROR_PROBABILITY,
    "noise": 1 - module.NOISE_FREE_PROBABILITY,
    "colour_cast": module.COLOUR_CAST_PROBABILITY,
    "greyscale": 1 - (1 - INFRARED_PROBABILITY) * (1 - module.GREYSCALE_PROBABILITY),
    "tone_curve": module.TONE_CURVE_PROBABILITY,
    "sharpen": module.SHARPENING_PROBABILITY,
    "jpeg_artefacts": module.JPEG_PROBABILITY,
}


@pytest.fixture(scope="module")
def imaging():
    return ImagingPipeline()


def test_effect_frequencies_match_probabilities(imaging, monkeypatch):
    count, frequencies = 4000, {}

    def recording(image, chosen, effect, rng):
        frequencies[getattr(effect, "func", effect).__name__] = chosen.float().mean().item()
        return image

    monkeypatch.setattr(imaging, "_apply_to", recording)
    imaging(torch.zeros(count, 3, 2, 2), CounterRng(1, torch.arange(count)))
    assert frequencies.keys() == PROBABILITIES.keys()
    for name, probability in PROBABILITIES.items():
        assert abs(frequencies[name] - probability) < 4 * (probability * (1 - probability) / count) ** 0.5, name


def test_most_images_have_no_severe_degradation():
    """No motion blur, defocus, exposure error, infrared or high gain."""
    rng = CounterRng(1, torch.arange(4000))
    bad = rng.bernoulli("sensor/moving", module.MOTION_BLUR_PROBABILITY) | rng.bernoulli(
        "sensor/defocused", module.DEFOCUS_PROBABILITY
    )
    bad |= (
        module.sample_exposure_errors(rng)
        | sample_infrared(rng)
        | (sample_full_scale_electrons(rng) < module.FULL_SCALE_ELECTRONS[0])
    )
    assert bad.float().mean() < 0.4


def test_noise_variance_is_linear_in_light(imaging):
    rng = CounterRng(1, MANY)
    electrons = sample_full_scale_electrons(rng)
    variances = []
    for level in (0.0, 0.25, 0.5):
        noise = imaging.noise(torch.full((64, 3, 64, 64), level), rng) - level
        assert noise.mean().abs() < 2e-3
        variances.append(noise.var((1, 2, 3)) * (256 / 64) ** 2)  # small images average noise
    dark, grey, bright = variances
    assert (dark > 0).all()
    assert (dark < 10 / electrons**2).all()
    for lit, level in ((grey, 0.25), (bright, 0.5)):
        torch.testing.assert_close((lit - dark) * electrons, torch.full((64,), level), rtol=0.2, atol=0)


def test_underexposed_images_are_noisier():
    rng = CounterRng(1, torch.arange(20_000))
    under = module.sample_exposure_errors(rng) & (module.isp.sample_exposure_error_stops(rng) < 0)
    noisy = sample_full_scale_electrons(rng) < module.FULL_SCALE_ELECTRONS[0]
    assert noisy[under].float().mean() > 0.4
    assert noisy[~under].float().mean() < 0.15


def test_noise_fields_are_standardized_periodic_and_of_three_kinds():
    fields = noise_fields()
    torch.testing.assert_close(fields.mean((2, 3)), torch.zeros(3, 3), rtol=0, atol=1e-4)
    torch.testing.assert_close(fields.std((2, 3)), torch.ones(3, 3), rtol=0, atol=1e-3)
    white, mosaic, denoised = ((f * f.roll(1, -1)).mean().item() for f in fields)
    assert abs(white) < 0.02 < 0.2 < mosaic < denoised
    for f in fields:
        seam, inner = (f[..., 0] - f[..., -1]).abs().mean(), (f[..., 1] - f[..., 0]).abs().mean()
        assert seam < 1.2 * inner


def test_noise_differs_between_images_and_fits_any_size(imaging):
    rng = CounterRng(1, MANY[:8])
    noise = imaging._field(48, 300, rng).flatten(1)
    assert noise.shape == (8, 3 * 48 * 300)
    assert (torch.corrcoef(noise) - torch.eye(8)).abs().max() < 0.2


def test_noise_of_small_images_matches_downscaled_images(imaging):
    white = (CounterRng(1, MANY).choice("sensor/noise kind", [1.0] * 3) == 0).nonzero()[:, 0]
    rng = CounterRng(1, MANY[white])
    large, small = (imaging.noise(torch.full((len(white), 3, s, s), 0.4), rng) for s in (256, 128))
    scaled = torch.nn.functional.avg_pool2d(large, 2)
    torch.testing.assert_close(scaled.std((1, 2, 3)), small.std((1, 2, 3)), rtol=0.05, atol=0)


def test_outputs_are_in_range_and_close_to_inputs(imaging):
    scene = torch.nn.functional.interpolate(
        CounterRng(2, MANY).uniform("image", 3, 6, 6), size=(64, 64), mode="bicubic"
    )
    scene = scene.clamp(0, 1)
    output = imaging(scene.clone(), CounterRng(1, MANY))
    assert output.shape == scene.shape
    assert output.min() >= 0
    assert output.max() <= 1
    assert (output - scene).abs().mean((1, 2, 3)).median() < 0.08


def test_pipeline_is_independent_of_batch(imaging):
    scene = CounterRng(2, MANY).uniform("image", 3, 32, 32)
    together = imaging(scene.clone(), CounterRng(1, MANY))
    for k in (5, 11, 40):
        alone = imaging(scene[k : k + 1].clone(), CounterRng(1, MANY[k : k + 1]))
        # JPEG coefficients may round differently
        assert ((alone - together[k : k + 1]).abs() > 1e-5).float().mean() < 0.05
