r"""Imaging pipeline: from rendered images to camera images with optical, sensor and processing artefacts.

In physical order: lens blur, motion blur, defocus, vignetting, exposure error, sensor noise, colour cast, greyscale,
tone curve, sharpening, JPEG. Light is linear up to the white balance, approximated by a gamma of 2 for speed. Most
effects apply to a fraction of the images; only those are processed. No effect displaces image content.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from lgnet_core.synthetic.camera import isp, jpeg, optics
from lgnet_core.synthetic.rng import CounterRng
from lgnet_core.synthetic.scene.appearance import sample_infrared

MOTION_BLUR_PROBABILITY = 0.12
"""Fraction of images with motion blur: hands and robots move, and indoor exposures reach 1/30 s."""
DEFOCUS_PROBABILITY = 0.08
"""Fraction of defocused images: hunting autofocus, fixed-focus lenses at 30 cm."""
VIGNETTE_PROBABILITY = 0.25
"""Fraction of images with visible vignetting: small wide-angle lenses."""
EXPOSURE_ERROR_PROBABILITY = 0.15
"""Fraction of over- or underexposed images: windows, dark walls, lamps in view."""
COLOUR_CAST_PROBABILITY = 0.25
"""Fraction of images with a white balance error."""
GREYSCALE_PROBABILITY = 0.08
"""Fraction of images of monochrome cameras (machine vision, stereo cameras)."""
TONE_CURVE_PROBABILITY = 0.5
"""Fraction of images with a tone curve other than gamma: picture styles, haze, crushed shadows."""
SHARPENING_PROBABILITY = 0.7
"""Fraction of sharpened images with halos along edges: nearly all cameras sharpen; machine vision cameras do not."""
JPEG_PROBABILITY = 0.5
"""Fraction of images that went through JPEG: USB cameras, image_transport, stored photographs."""
NOISE_FREE_PROBABILITY = 0.2
"""Fraction of images without visible noise: bright light or strong denoising."""
HIGH_GAIN_PROBABILITY, HIGH_GAIN_PROBABILITY_UNDEREXPOSED = 0.06, 0.5
"""Fraction of images taken at high gain, overall and among the underexposed ones."""
FULL_SCALE_ELECTRONS, HIGH_GAIN_ELECTRONS = (500.0, 30_000.0), (100.0, 500.0)
"""Electrons in a white pixel at normal and at high gain: from a downscaled phone image in daylight to a webcam at
night."""
READ_NOISE_ELECTRONS = (1.0, 3.0)
"""Standard deviation of the read noise, electrons."""
INFRARED_SPOT_FALLOFF = (0.3, 2.0)
"""Falloff of the lamp next to an infrared camera, see :data:`optics.VIGNETTE_STRENGTH`."""

_FIELD_SIZE = 256  # side of the stored noise fields, pixels
_FULL_NOISE_WIDTH = 256  # pixels; narrower images have less noise, as if downscaled from this width
_SEED = 20242

Effect = Callable[[Tensor, CounterRng], Tensor]


class ImagingPipeline(torch.nn.Module):
    """Simulates the capture of rendered images by a camera.

    Noise is cropped from precomputed fields at random offsets; sampling it for every image would double the cost of the
    pipeline.

    Buffers:
        fields: (3, 3, 256, 256) of :func:`noise_fields`.
    """

    fields: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("fields", noise_fields(), persistent=False)

    def forward(self, image: Tensor, rng: CounterRng, upscaling: int = 1) -> Tensor:
        """Convert rendered display colours (B, 3, H, W) into camera images of the same shape, in [0, 1].

        Args:
            upscaling: factor by which the images will be enlarged later, see :meth:`noise`.
        """
        is_infrared = sample_infrared(rng)
        image = optics.lens_blur(image, rng)
        light = image.mul_(image)
        light = self._apply_to(light, rng.bernoulli("sensor/moving", MOTION_BLUR_PROBABILITY), optics.motion_blur, rng)
        light = self._apply_to(light, rng.bernoulli("sensor/defocused", DEFOCUS_PROBABILITY), optics.defocus, rng)
        light = self._apply_to(light, rng.bernoulli("sensor/vignetted", VIGNETTE_PROBABILITY), optics.vignette, rng)
        light = self._apply_to(light, is_infrared, infrared_spot, rng)
        light = self._apply_to(light, sample_exposure_errors(rng), isp.exposure_error, rng)
        noise = partial(self.noise, upscaling=upscaling)
        light = self._apply_to(light, ~rng.bernoulli("sensor/clean", NOISE_FREE_PROBABILITY), noise, rng)
        light = self._apply_to(light, rng.bernoulli("sensor/cast", COLOUR_CAST_PROBABILITY), isp.colour_cast, rng)
        image = light.clamp_(0, 1).sqrt_()
        image = self._apply_to(
            image, is_infrared | rng.bernoulli("sensor/grey", GREYSCALE_PROBABILITY), isp.greyscale, rng
        )
        image = self._apply_to(image, rng.bernoulli("sensor/toned", TONE_CURVE_PROBABILITY), isp.tone_curve, rng)
        image = self._apply_to(image, rng.bernoulli("sensor/sharpened", SHARPENING_PROBABILITY), isp.sharpen, rng)
        return self._apply_to(image, rng.bernoulli("sensor/jpeg", JPEG_PROBABILITY), jpeg.jpeg_artefacts, rng)

    @staticmethod
    def _apply_to(image: Tensor, chosen: Tensor, effect: Effect, rng: CounterRng) -> Tensor:
        """Apply ``effect`` to the images selected by ``chosen`` (B,), in place."""
        rows = chosen.nonzero()[:, 0]
        if len(rows) == 0:
            return image
        return image.index_copy_(0, rows, effect(image.index_select(0, rows), rng.select(rows)))

    def noise(self, light: Tensor, rng: CounterRng, upscaling: int = 1) -> Tensor:
        r"""Add shot noise and read noise, :math:`\sigma^2 = L / N + (r / N)^2`.

        Pixels of small images are averages of sensor pixels, unless the image is a crop to be upscaled.
        """
        electrons = sample_full_scale_electrons(rng)
        read = rng.uniform("sensor/read", low=READ_NOISE_ELECTRONS[0], high=READ_NOISE_ELECTRONS[1])
        height, width = light.shape[-2:]
        scale = min(1.0, upscaling * width / _FULL_NOISE_WIDTH)
        shot, floor = (scale**2 * x[:, None, None, None] for x in (1 / electrons, (read / electrons) ** 2))
        deviation = (light * shot).add_(floor).sqrt_()
        return deviation.mul_(self._field(height, width, rng)).add_(light)

    def _field(self, height: int, width: int, rng: CounterRng) -> Tensor:
        """Noise (B, 3, H, W) of unit standard deviation, of one random kind per image."""
        kinds = len(self.fields)
        kind = rng.choice("sensor/noise kind", [1.0] * kinds)
        row, column = rng.uniform("sensor/place", 2, high=_FIELD_SIZE).long().unbind(1)
        tiled = self.fields.repeat(1, 1, 1 + -(-height // _FIELD_SIZE), 1 + -(-width // _FIELD_SIZE))
        windows = tiled.unfold(2, height, 1).unfold(3, width, 1).permute(0, 2, 3, 1, 4, 5)
        return windows[kind, row, column]


def sample_exposure_errors(rng: CounterRng) -> Tensor:
    """Mask (B,) of over- or underexposed images."""
    return rng.bernoulli("sensor/misexposed", EXPOSURE_ERROR_PROBABILITY)


def sample_full_scale_electrons(rng: CounterRng) -> Tensor:
    """Electrons (B,) in a white pixel; fewer electrons mean more noise."""
    underexposed = sample_exposure_errors(rng) & (isp.sample_exposure_error_stops(rng) < 0)
    high_gain = torch.where(underexposed, HIGH_GAIN_PROBABILITY_UNDEREXPOSED, HIGH_GAIN_PROBABILITY)
    limits = torch.tensor([FULL_SCALE_ELECTRONS, HIGH_GAIN_ELECTRONS], device=rng.device).log()
    low, high = limits[(rng.uniform("sensor/dim") < high_gain).long()].unbind(1)
    return torch.lerp(low, high, rng.uniform("sensor/electrons")).exp()


def infrared_spot(light: Tensor, rng: CounterRng) -> Tensor:
    """Illumination of an infrared lamp next to the lens, which falls off towards the corners."""
    return light * optics.falloff(
        light, rng.uniform("sensor/spot", low=INFRARED_SPOT_FALLOFF[0], high=INFRARED_SPOT_FALLOFF[1]), rng
    )


def noise_fields() -> Tensor:
    """Periodic RGB noise (3, 3, 256, 256) with mean 0 and standard deviation 1.

    Three kinds: white noise, demosaicked noise, and residual noise after denoising (soft grain, colour blotches).
    """
    rng = CounterRng(_SEED, torch.zeros(1, dtype=torch.int64))
    white = rng.normal("field", 3, _FIELD_SIZE, _FIELD_SIZE)[0]
    even = torch.arange(_FIELD_SIZE) % 2 == 0
    red, blue = even[:, None] & even, ~even[:, None] & ~even
    sampled = torch.stack([red, ~(red | blue), blue]).float()
    mosaic = _smooth(white[:1] * sampled) / _smooth(sampled)
    coarse = white.roll(_FIELD_SIZE // 2, -1)
    for _ in range(3):
        coarse = _smooth(coarse)
    denoised = 0.7 * _smooth(white[:1]) / 0.375 + 0.5 * (coarse - coarse.mean(0)) / coarse.std()
    fields = torch.stack([white, mosaic, denoised])
    return (fields - fields.mean((2, 3), keepdim=True)) / fields.std((2, 3), keepdim=True)


def _smooth(fields: Tensor) -> Tensor:
    """Periodic fields (C, H, W) filtered with a 3 x 3 tent kernel."""
    tent = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16
    return F.conv2d(F.pad(fields[:, None], (1,) * 4, mode="circular"), tent[None, None])[:, 0]
