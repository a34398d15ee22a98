"""Colours of things and of skin, drawn at random; linear RGB unless said otherwise."""

from __future__ import annotations

import torch
from torch import Tensor

from lgnet_core.synthetic.random import Draws

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
)  # sRGB, from the lightest to the darkest


def to_linear(srgb: Tensor) -> Tensor:
    """Display colours to linear ones (the plain power 2.2)."""
    return srgb**2.2


def random_colour(draws: Draws, name: str, *shape: int) -> Tensor:
    """(B, *shape, 3) linear colours of every hue, more often greyish than vivid."""
    value = draws.uniform(name + "/value", *shape, 1, low=0.04, high=0.95)
    vividness = draws.uniform(name + "/vividness", *shape, 1) ** 2
    hue = draws.uniform(name + "/hue", *shape, 3)
    return to_linear(value * (1 - vividness + vividness * hue))


def skin_colour(draws: Draws, name: str, *shape: int) -> tuple[Tensor, Tensor]:
    """(B, *shape, 3) linear colours of human skin and (B, *shape, 1) how dark each tone is, in [0, 1]."""
    darkness = draws.uniform(name + "/tone", *shape, 1)
    place = darkness * (len(_SKIN_TONES) - 1)
    lower = place.long().clamp_max(len(_SKIN_TONES) - 2)
    tones = _SKIN_TONES.to(darkness.device)
    tone = torch.lerp(tones[lower[..., 0]], tones[lower[..., 0] + 1], place - lower)
    tone = tone * draws.uniform(name + "/brightness", *shape, 1, low=0.92, high=1.06)
    hue = draws.normal(name + "/hue", *shape, 3, std=0.02)
    return to_linear((tone * (1 + hue)).clamp(0.02, 1)), darkness
