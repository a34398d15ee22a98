"""What a scene looks like: skin, sleeves, lights, camera response; everything random but the geometry.

Ranges are wide on purpose: a network that meets every skin, light and cloth here is less surprised by a photograph.
Colours are linear RGB unless said otherwise.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from lgnet_core.synthetic.body.gloves import draw_gloves, glove_brightness
from lgnet_core.synthetic.colours import random_colour, skin_colour
from lgnet_core.synthetic.random import Draws

INFRARED = 0.04
"""Share of images as infrared cameras with a lamp of their own take them (driver monitors, depth cameras)."""


class Appearance(NamedTuple):
    """Per image; (B, 2, ...) where the two hands may differ (two people).

    skin (B, 2, 3); darkness (B, 2, 1) 0 = lightest tone, 1 = darkest; nail (B, 2, 3) colour; nail_gloss (B, 1);
    noise_weights (B, 4) of the noise's channels; noise_cells (B, 1) cells per metre; noise_offset (B, 3) cells;
    crease, redness, pallor (B, 1) strengths of the painted details; gloss, sharpness (B, 1) of the highlight;
    cloth, cloth_second (B, 3); pattern (B,) int64; pattern_wave, pattern_cross (B, 3) radians per metre;
    key_direction, fill_direction, sky_direction (B, 3) unit vectors towards the light, camera frame;
    key, fill, ambient (B, 3) strengths; sky (B, 1) how directed the ambient light is;
    shadow_softness (B, 1) radius in shadow-map cells; shadow_strength (B, 1); exposure (B, 1); gamma (B, 1);
    surroundings (B, 1) what is left of the display colours of everything behind the hands.
    """

    skin: Tensor
    darkness: Tensor
    nail: Tensor
    nail_gloss: Tensor
    noise_weights: Tensor
    noise_cells: Tensor
    noise_offset: Tensor
    crease: Tensor
    redness: Tensor
    pallor: Tensor
    gloss: Tensor
    sharpness: Tensor
    cloth: Tensor
    cloth_second: Tensor
    pattern: Tensor
    pattern_wave: Tensor
    pattern_cross: Tensor
    key_direction: Tensor
    fill_direction: Tensor
    sky_direction: Tensor
    key: Tensor
    fill: Tensor
    ambient: Tensor
    sky: Tensor
    shadow_softness: Tensor
    shadow_strength: Tensor
    exposure: Tensor
    gamma: Tensor
    surroundings: Tensor


def _light_colour(draws: Draws, name: str) -> Tensor:
    """(B, 3) warm to cool, now and then coloured; mean about 1."""
    warmth = draws.normal(name + "/warmth", 1, std=0.16)
    colour = 1 + warmth * torch.tensor([1.0, 0.1, -1.0], device=draws.device)
    return (colour * (1 + draws.normal(name + "/tint", 3, std=0.05))).clamp(0.4, 1.8)


def _direction(draws: Draws, name: str, mean: tuple[float, float, float]) -> Tensor:
    spread = draws.normal(name, 3)
    return F.normalize(spread + torch.tensor(mean, device=draws.device), dim=1)


def infrared(draws: Draws) -> Tensor:
    """(B,) bool: which images an infrared camera takes."""
    return draws.bernoulli("infrared", INFRARED)


def sample_appearance(draws: Draws) -> Appearance:
    """Draw the looks of a batch of images."""
    return _in_infrared(_in_daylight(draws), draws)


def _in_daylight(draws: Draws) -> Appearance:
    skin, darkness = skin_colour(draws, "skin", 2)
    two_people = draws.bernoulli("skin/two_people", 0.15, 1, 1)
    skin = torch.where(two_people, skin, skin[:, :1])
    darkness = torch.where(two_people, darkness, darkness[:, :1])
    natural = skin * torch.tensor([1.1, 0.98, 0.96], device=draws.device) + 0.05
    polished = draws.bernoulli("nail/polished", 0.12, 1)
    nail = torch.where(polished[:, None], random_colour(draws, "nail/polish")[:, None], natural)

    # cameras and lamps make up for some of what dark skin swallows
    gloves = draw_gloves(draws)
    shown = torch.where(gloves.worn, glove_brightness(gloves), skin.mean(-1, keepdim=True))  # (B, 2, 1)
    luminance = shown.mean(1)
    exposure = (0.35 / luminance.clamp_min(0.02)) ** draws.uniform("exposure/adapts", 1, low=0.1, high=0.7)
    total = torch.exp(draws.normal("light/level", 1, std=0.3))
    share = draws.uniform("light/key_share", 1, low=0.15, high=1.0)
    wave = draws.uniform("cloth/frequency", 1, low=4.0, high=6.8).exp()
    return Appearance(
        skin=skin,
        darkness=darkness,
        nail=nail,
        nail_gloss=draws.uniform("nail/gloss", 1, high=2.5),
        noise_weights=draws.uniform("skin/noise", 4) * torch.tensor([0.10, 0.07, 0.07, 0.07], device=draws.device),
        noise_cells=draws.uniform("skin/noise_cells", 1, low=700.0, high=1400.0),
        noise_offset=draws.uniform("skin/noise_offset", 3, high=64.0),
        crease=draws.uniform("skin/crease", 1, high=0.55),
        redness=draws.uniform("skin/redness", 1, high=0.35),
        pallor=draws.uniform("skin/pallor", 1, low=0.5, high=1.0),
        gloss=0.02 + 0.28 * draws.uniform("skin/gloss", 1) ** 2,
        sharpness=draws.uniform("skin/sharpness", 1, low=2.0, high=4.1).exp(),
        cloth=random_colour(draws, "cloth"),
        cloth_second=random_colour(draws, "cloth/second"),
        pattern=draws.choice("cloth/pattern", [0.5, 0.2, 0.1, 0.2]),
        pattern_wave=wave * _direction(draws, "cloth/wave", (0.0, 0.0, 0.0)),
        pattern_cross=wave * _direction(draws, "cloth/cross", (0.0, 0.0, 0.0)),
        # the camera looks along +z and down is +y: lamps hang above, and seldom shine into the camera
        key_direction=_direction(draws, "light/key", (0.0, -0.8, -1.0)),
        fill_direction=_direction(draws, "light/fill", (0.0, -0.4, -0.8)),
        sky_direction=_direction(draws, "light/sky", (0.0, -1.5, -0.3)),
        key=2.0 * total * share * _light_colour(draws, "light/key"),
        fill=draws.uniform("light/fill_level", 1, high=0.8) * total * _light_colour(draws, "light/fill"),
        ambient=total * (1.15 - share) * 0.9 * _light_colour(draws, "light/ambient"),
        sky=draws.uniform("light/sky_share", 1, high=0.8),
        shadow_softness=draws.uniform("shadow/softness", 1, low=0.4, high=2.5),
        shadow_strength=draws.uniform("shadow/strength", 1, low=0.7, high=1.0),
        exposure=exposure * torch.exp(draws.normal("exposure", 1, std=0.22)),
        gamma=draws.uniform("gamma", 1, low=1.9, high=2.5),
        surroundings=torch.ones(len(draws), 1, device=draws.device),
    )


def _in_infrared(looks: Appearance, draws: Draws) -> Appearance:
    """The same scenes before an infrared camera, where one is drawn.

    One lamp sits beside the lens and nothing else shines. Around 850 nm melanin and blood absorb little: all skin is
    bright, pale and smooth; most dyes let the light through, so that cloth is bright as well. What stands further back
    gets less of the lamp.
    """

    def changed(name: str, value: Tensor) -> Tensor:
        before = getattr(looks, name)
        chosen = infrared(draws).view(-1, *[1] * (before.ndim - 1))
        return torch.where(chosen, value.to(before.dtype), before)

    grey = draws.uniform("infrared/skin", 1, 1, low=0.42, high=0.62) - 0.12 * looks.darkness  # (B, 2, 1)
    lamp = draws.uniform("infrared/lamp", 1, low=1.2, high=2.6)
    nothing = torch.zeros_like(looks.fill)
    new = {
        "skin": grey.expand(-1, -1, 3),
        "nail": (grey + 0.03).expand(-1, -1, 3),
        "noise_weights": 0.35 * looks.noise_weights,
        "crease": 0.5 * looks.crease,
        "redness": 0 * looks.redness,
        "pallor": 0.1 * looks.pallor,
        "cloth": (0.6 * looks.cloth.mean(1, keepdim=True) + 0.25).expand(-1, 3),
        "cloth_second": (0.6 * looks.cloth_second.mean(1, keepdim=True) + 0.25).expand(-1, 3),
        "key_direction": F.normalize(
            draws.normal("infrared/beside", 3, std=0.15) - torch.tensor([0.0, 0.0, 1.0], device=draws.device), dim=1
        ),
        "key": lamp.expand(-1, 3),
        "fill": nothing,
        "ambient": nothing + 0.06 * lamp,
        "exposure": torch.ones_like(looks.exposure),
        "surroundings": draws.uniform("infrared/surroundings", 1, low=0.15, high=0.8),
    }
    return looks._replace(**{name: changed(name, value) for name, value in new.items()})
