"""What a camera's processor makes of light: exposure, white balance, tones, sharpening, grey images.

As in :mod:`~lgnet_core.synthetic.camera.optics`, each function draws its own strengths and acts on every image it is
given. What varies anew with every epoch (small gains, contrast, saturation) is :mod:`lgnet_core.data.photometry`'s:
here is what a camera settles once, and the mistakes it makes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lgnet_core.synthetic.random import Draws

MISSED_STOPS = (0.5, 1.7)
"""By how many stops a meter is wrong when a window or a dark wall misleads it, either way ..."""
ROOM_ABOVE, ROOM_BELOW = (0.75, 0.4), (0.05, 0.25)
"""... in full if the image's mean display value is the second of these, and hardly if it is the first: no meter
brightens what is white, or darkens what is black."""
_HARDLY = 0.2
WARMTH, TINT = 0.5, 0.12
"""Largest logarithm of red over green (and green over blue), and of green over the others; small ones are more
frequent. 0.5 is a tungsten lamp of 2900 K seen by a camera set to about 4500 K."""
CONTRAST = (-0.3, 0.6)
"""How much of an S-curve is mixed in: flat as a machine-vision camera, contrasty as a phone."""
BLACK = (-0.07, 0.07)
"""Display value that becomes black: below 0 haze and stray light lift the shadows, above they are crushed."""
HALO_WIDTH, HALO = (0.003, 0.009), (0.5, 1.6)
"""Standard deviation (parts of the image's width) and strength of a phone's unsharp mask."""


def missed_exposure(light: Tensor, draws: Draws) -> Tensor:
    """Too dark or too bright, as often the one as the other; highlights above 1 are clipped later."""
    stops = missed_stops(draws)
    mean = light.mean((1, 2, 3)).sqrt()
    first, second = light.new_tensor([ROOM_BELOW, ROOM_ABOVE])[(stops > 0).long()].unbind(1)
    room = ((mean - first) / (second - first)).clamp(_HARDLY, 1)
    return light * (stops * room).exp2()[:, None, None, None]


def missed_stops(draws: Draws) -> Tensor:
    """(B,) how far off an exposure is that missed, in stops."""
    stops = draws.uniform("sensor/exposure", low=MISSED_STOPS[0], high=MISSED_STOPS[1])
    return torch.where(draws.bernoulli("sensor/exposure/under", 0.5), -stops, stops)


def colour_cast(light: Tensor, draws: Draws) -> Tensor:
    """White balance that missed the lamp: warm or cool, a little green or magenta; green keeps its level."""
    warmth = draws.uniform("sensor/cast/warmth", 2, low=-WARMTH, high=WARMTH).mean(1)
    tint = draws.uniform("sensor/cast/tint", low=-TINT, high=TINT)
    gain = torch.stack([warmth - tint, torch.zeros_like(tint), -warmth - tint], 1).exp()
    return light * gain[..., None, None]


def greyscale(image: Tensor, draws: Draws) -> Tensor:
    """Three equal channels: a monochrome camera, whose filters weigh colours in their own way."""
    weights = draws.uniform("sensor/grey", 1, 3, low=0.1, high=1.0) * torch.tensor([0.3, 0.5, 0.2], device=draws.device)
    weights = weights / weights.sum(-1, keepdim=True)
    return (weights @ image.flatten(2)).unflatten(2, image.shape[2:]).expand_as(image)


def tone_curve(image: Tensor, draws: Draws) -> Tensor:
    """Contrast and black level of display colours in [0, 1]."""
    black = draws.uniform("sensor/tone/black", 1, 1, 1, low=BLACK[0], high=BLACK[1])
    contrast = draws.uniform("sensor/tone/contrast", 1, 1, 1, low=CONTRAST[0], high=CONTRAST[1])
    x = (image - black).mul_(1 / (1 - black)).clamp_(0, 1)
    slope = (x * (-2 * contrast)).add_(3 * contrast).mul_(x).add_(1 - contrast)
    return x.mul_(slope)  # x + c (3 x^2 - 2 x^3 - x)


def sharpen(image: Tensor, draws: Draws) -> Tensor:
    """Unsharp mask of the luminance: bright and dark halos along edges."""
    width = image.shape[-1]
    sigma = width * draws.uniform("sensor/sharpen/width", 1, low=HALO_WIDTH[0], high=HALO_WIDTH[1])
    amount = draws.uniform("sensor/sharpen", 1, 1, 1, low=HALO[0], high=HALO[1])
    reach = int(2.5 * HALO_WIDTH[1] * width) + 1
    taps = torch.arange(-reach, reach + 1, device=image.device)
    kernel = torch.exp(-0.5 * (taps / sigma) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True))[:, None]  # (B, 1, taps)
    luma = (image.new_tensor([[0.299, 0.587, 0.114]]) @ image.flatten(2)).unflatten(2, image.shape[2:])
    padded = F.pad(luma.transpose(0, 1), (reach,) * 4, mode="replicate")  # (1, B, H, W)
    blurred = F.conv2d(F.conv2d(padded, kernel[:, :, None], groups=len(image)), kernel[..., None], groups=len(image))
    return (image + amount * (luma - blurred.transpose(0, 1))).clamp_(0, 1)
