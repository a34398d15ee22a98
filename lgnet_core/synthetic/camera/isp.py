"""Image signal processing: exposure error, colour cast, greyscale, tone curve and sharpening.

As in :mod:`~lgnet_core.synthetic.camera.optics`, functions sample their own strength and process every image. Variation
that is sampled in every epoch (small gains, contrast, saturation) is in :mod:`lgnet_core.data.photometry`; this module
models the fixed characteristics of a camera and its failures.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lgnet_core.synthetic.rng import CounterRng

EXPOSURE_ERROR_STOPS = (0.5, 1.7)
"""Magnitude of exposure errors, stops: metering misled by a window or a dark wall."""
OVEREXPOSURE_TAPER, UNDEREXPOSURE_TAPER = (0.75, 0.4), (0.05, 0.25)
"""Mean display values between which the error grows from its minimum fraction to its full size: metering neither
brightens white images nor darkens black ones."""
_MIN_ERROR_FRACTION = 0.2
MAX_WARMTH, MAX_TINT = 0.5, 0.12
"""Maximum log ratio of red to green (and of green to blue), and of green to the others; small casts are more frequent.
A warmth of 0.5 is a tungsten lamp of 2900 K with the white balance set to about 4500 K."""
CONTRAST_RANGE = (-0.3, 0.6)
"""Weight of the S-curve: from flat (machine vision cameras) to contrasty (phones)."""
BLACK_LEVEL = (-0.07, 0.07)
"""Display value mapped to black: shadows are lifted (haze, stray light) below 0 and crushed above."""
SHARPENING_SIGMA, SHARPENING_AMOUNT = (0.003, 0.009), (0.5, 1.6)
"""Standard deviation (relative to the image width) and strength of the unsharp mask of phones."""


def exposure_error(light: Tensor, rng: CounterRng) -> Tensor:
    """Under- or overexposure with equal probability; highlights above 1 are clipped later."""
    stops = sample_exposure_error_stops(rng)
    mean = light.mean((1, 2, 3)).sqrt()
    start, end = light.new_tensor([UNDEREXPOSURE_TAPER, OVEREXPOSURE_TAPER])[(stops > 0).long()].unbind(1)
    fraction = ((mean - start) / (end - start)).clamp(_MIN_ERROR_FRACTION, 1)
    return light * (stops * fraction).exp2()[:, None, None, None]


def sample_exposure_error_stops(rng: CounterRng) -> Tensor:
    """Signed exposure errors (B,), stops, before tapering."""
    stops = rng.uniform("sensor/exposure", low=EXPOSURE_ERROR_STOPS[0], high=EXPOSURE_ERROR_STOPS[1])
    return torch.where(rng.bernoulli("sensor/exposure/under", 0.5), -stops, stops)


def colour_cast(light: Tensor, rng: CounterRng) -> Tensor:
    """White balance error: warm or cool, with a slight green or magenta tint; the green channel is unchanged."""
    warmth = rng.uniform("sensor/cast/warmth", 2, low=-MAX_WARMTH, high=MAX_WARMTH).mean(1)
    tint = rng.uniform("sensor/cast/tint", low=-MAX_TINT, high=MAX_TINT)
    gain = torch.stack([warmth - tint, torch.zeros_like(tint), -warmth - tint], 1).exp()
    return light * gain[..., None, None]


def greyscale(image: Tensor, rng: CounterRng) -> Tensor:
    """Monochrome camera with random spectral weights; three equal channels."""
    weights = rng.uniform("sensor/grey", 1, 3, low=0.1, high=1.0) * torch.tensor([0.3, 0.5, 0.2], device=rng.device)
    weights = weights / weights.sum(-1, keepdim=True)
    return (weights @ image.flatten(2)).unflatten(2, image.shape[2:]).expand_as(image)


def tone_curve(image: Tensor, rng: CounterRng) -> Tensor:
    """Random contrast and black level of display colours in [0, 1]."""
    black = rng.uniform("sensor/tone/black", 1, 1, 1, low=BLACK_LEVEL[0], high=BLACK_LEVEL[1])
    contrast = rng.uniform("sensor/tone/contrast", 1, 1, 1, low=CONTRAST_RANGE[0], high=CONTRAST_RANGE[1])
    x = (image - black).mul_(1 / (1 - black)).clamp_(0, 1)
    slope = (x * (-2 * contrast)).add_(3 * contrast).mul_(x).add_(1 - contrast)
    return x.mul_(slope)  # x + c (3 x^2 - 2 x^3 - x)


def sharpen(image: Tensor, rng: CounterRng) -> Tensor:
    """Unsharp masking of the luminance, which causes halos along edges."""
    width = image.shape[-1]
    sigma = width * rng.uniform("sensor/sharpen/width", 1, low=SHARPENING_SIGMA[0], high=SHARPENING_SIGMA[1])
    amount = rng.uniform("sensor/sharpen", 1, 1, 1, low=SHARPENING_AMOUNT[0], high=SHARPENING_AMOUNT[1])
    radius = int(2.5 * SHARPENING_SIGMA[1] * width) + 1
    taps = torch.arange(-radius, radius + 1, device=image.device)
    kernel = torch.exp(-0.5 * (taps / sigma) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True))[:, None]  # (B, 1, taps)
    luma = (image.new_tensor([[0.299, 0.587, 0.114]]) @ image.flatten(2)).unflatten(2, image.shape[2:])
    padded = F.pad(luma.transpose(0, 1), (radius,) * 4, mode="replicate")  # (1, B, H, W)
    blurred = F.conv2d(F.conv2d(padded, kernel[:, :, None], groups=len(image)), kernel[..., None], groups=len(image))
    return (image + amount * (luma - blurred.transpose(0, 1))).clamp_(0, 1)
