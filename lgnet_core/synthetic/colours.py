"""Random object and skin colours, in linear RGB unless stated otherwise."""

from __future__ import annotations

import torch
from torch import Tensor

from lgnet_core.synthetic.rng import CounterRng

_SKIN_TONES = torch.tensor(
    [
        [0.96, 0.82, 0.74],
        [0.91, 0.73, 0.62],
        [0.85, 0.65, 0.51],
        [0.76, 0.55, 0.41],
        [0.63, 0.43, 0.31],
        [0.49, 0.33, 0.24],
        [0.36, 0.24, 0.18],
        [0.25, 0.17, 0.13],
    ]
)  # sRGB, lightest to darkest


def srgb_to_linear(srgb: Tensor) -> Tensor:
    """Convert display colours to linear RGB, approximated by a pure power law of 2.2."""
    return srgb**2.2


def sample_colour(rng: CounterRng, name: str, *shape: int) -> Tensor:
    """Colours (B, *shape, 3) of any hue, biased towards low saturation."""
    value = rng.uniform(name + "/value", *shape, 1, low=0.04, high=0.95)
    saturation = rng.uniform(name + "/vividness", *shape, 1) ** 2
    hue = rng.uniform(name + "/hue", *shape, 3)
    return srgb_to_linear(value * (1 - saturation + saturation * hue))


def sample_skin_colour(rng: CounterRng, name: str, *shape: int) -> tuple[Tensor, Tensor]:
    """Skin colours (B, *shape, 3) and their darkness (B, *shape, 1), from 0 (lightest tone) to 1 (darkest)."""
    darkness = rng.uniform(name + "/tone", *shape, 1)
    position = darkness * (len(_SKIN_TONES) - 1)
    lower = position.long().clamp_max(len(_SKIN_TONES) - 2)
    tones = _SKIN_TONES.to(darkness.device)
    tone = torch.lerp(tones[lower[..., 0]], tones[lower[..., 0] + 1], position - lower)
    tone = tone * rng.uniform(name + "/brightness", *shape, 1, low=0.92, high=1.06)
    hue = rng.normal(name + "/hue", *shape, 3, std=0.02)
    return srgb_to_linear((tone * (1 + hue)).clamp(0.02, 1)), darkness
