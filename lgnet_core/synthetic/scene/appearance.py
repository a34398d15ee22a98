"""Appearance sampling: skin, cloth, illumination and camera response.

Domain randomization: ranges are deliberately wider than in reality, for generalization to real images. Colours are
linear RGB unless stated otherwise.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from lgnet_core.synthetic.body.gloves import glove_brightness, sample_gloves
from lgnet_core.synthetic.colours import sample_colour, sample_skin_colour
from lgnet_core.synthetic.rng import CounterRng

INFRARED_PROBABILITY = 0.04
"""Fraction of images of infrared cameras with active illumination (driver monitoring, depth cameras)."""


class Appearance(NamedTuple):
    """Appearance parameters per image, or per hand (B, 2, ...) where hands may belong to two people.

    Shapes:
        skin: (B, 2, 3) colour; darkness: (B, 2, 1) of the skin, 0 lightest to 1 darkest; nail: (B, 2, 3) colour;
        nail_specular: (B, 1) increase of the specular highlight on nails; noise_weights: (B, 4) of the noise channels;
        noise_cells: (B, 1) noise cells per metre; noise_offset: (B, 3) noise cells;
        crease, redness, pallor: (B, 1) strength of the skin details; specular: (B, 1) strength of the highlight;
        shininess: (B, 1) exponent of the highlight; cloth, cloth_secondary: (B, 3) colours;
        pattern: (B,) int64, see :mod:`~lgnet_core.synthetic.body.surface`; pattern_wave, pattern_cross: (B, 3) wave
        vectors of the pattern, radians per metre;
        key_direction, fill_direction, sky_direction: (B, 3) unit vectors towards the lights, camera frame;
        key, fill, ambient: (B, 3) light colour times intensity; sky_weight: (B, 1) directionality of the ambient light;
        shadow_softness: (B, 1) radius in shadow map cells; shadow_strength: (B, 1); exposure: (B, 1); gamma: (B, 1);
        background_gain: (B, 1) factor of the display colours of the background.
    """

    skin: Tensor
    darkness: Tensor
    nail: Tensor
    nail_specular: Tensor
    noise_weights: Tensor
    noise_cells: Tensor
    noise_offset: Tensor
    crease: Tensor
    redness: Tensor
    pallor: Tensor
    specular: Tensor
    shininess: Tensor
    cloth: Tensor
    cloth_secondary: Tensor
    pattern: Tensor
    pattern_wave: Tensor
    pattern_cross: Tensor
    key_direction: Tensor
    fill_direction: Tensor
    sky_direction: Tensor
    key: Tensor
    fill: Tensor
    ambient: Tensor
    sky_weight: Tensor
    shadow_softness: Tensor
    shadow_strength: Tensor
    exposure: Tensor
    gamma: Tensor
    background_gain: Tensor


def _light_colour(rng: CounterRng, name: str) -> Tensor:
    """Light colours (B, 3), warm to cool with a slight tint; mean about 1."""
    warmth = rng.normal(name + "/warmth", 1, std=0.16)
    colour = 1 + warmth * torch.tensor([1.0, 0.1, -1.0], device=rng.device)
    return (colour * (1 + rng.normal(name + "/tint", 3, std=0.05))).clamp(0.4, 1.8)


def _direction(rng: CounterRng, name: str, mean: tuple[float, float, float]) -> Tensor:
    """Unit vectors (B, 3) distributed around ``mean``; uniform for a mean of zero."""
    spread = rng.normal(name, 3)
    return F.normalize(spread + torch.tensor(mean, device=rng.device), dim=1)


def sample_infrared(rng: CounterRng) -> Tensor:
    """Mask (B,) of images of infrared cameras."""
    return rng.bernoulli("infrared", INFRARED_PROBABILITY)


def sample_appearance(rng: CounterRng) -> Appearance:
    """Sample the appearance of a batch of images."""
    return _apply_infrared(_sample_visible_light(rng), rng)


def _sample_visible_light(rng: CounterRng) -> Appearance:
    skin, darkness = sample_skin_colour(rng, "skin", 2)
    two_people = rng.bernoulli("skin/two_people", 0.15, 1, 1)
    skin = torch.where(two_people, skin, skin[:, :1])
    darkness = torch.where(two_people, darkness, darkness[:, :1])
    bare_nail = skin * torch.tensor([1.1, 0.98, 0.96], device=rng.device) + 0.05
    polished = rng.bernoulli("nail/polished", 0.12, 1)
    nail = torch.where(polished[:, None], sample_colour(rng, "nail/polish")[:, None], bare_nail)

    # Automatic exposure partly compensates for the brightness of skin or gloves.
    gloves = sample_gloves(rng)
    brightness = torch.where(gloves.worn, glove_brightness(gloves), skin.mean(-1, keepdim=True))  # (B, 2, 1)
    luminance = brightness.mean(1)
    exposure = (0.35 / luminance.clamp_min(0.02)) ** rng.uniform("exposure/adapts", 1, low=0.1, high=0.7)
    light_level = torch.exp(rng.normal("light/level", 1, std=0.3))
    key_fraction = rng.uniform("light/key_share", 1, low=0.15, high=1.0)
    frequency = rng.uniform("cloth/frequency", 1, low=4.0, high=6.8).exp()
    return Appearance(
        skin=skin,
        darkness=darkness,
        nail=nail,
        nail_specular=rng.uniform("nail/gloss", 1, high=2.5),
        noise_weights=rng.uniform("skin/noise", 4) * torch.tensor([0.10, 0.07, 0.07, 0.07], device=rng.device),
        noise_cells=rng.uniform("skin/noise_cells", 1, low=700.0, high=1400.0),
        noise_offset=rng.uniform("skin/noise_offset", 3, high=64.0),
        crease=rng.uniform("skin/crease", 1, high=0.55),
        redness=rng.uniform("skin/redness", 1, high=0.35),
        pallor=rng.uniform("skin/pallor", 1, low=0.5, high=1.0),
        specular=0.02 + 0.28 * rng.uniform("skin/gloss", 1) ** 2,
        shininess=rng.uniform("skin/sharpness", 1, low=2.0, high=4.1).exp(),
        cloth=sample_colour(rng, "cloth"),
        cloth_secondary=sample_colour(rng, "cloth/second"),
        pattern=rng.choice("cloth/pattern", [0.5, 0.2, 0.1, 0.2]),
        pattern_wave=frequency * _direction(rng, "cloth/wave", (0.0, 0.0, 0.0)),
        pattern_cross=frequency * _direction(rng, "cloth/cross", (0.0, 0.0, 0.0)),
        # z points into the scene, y down: lights are mostly above the hands and rarely shine into the camera
        key_direction=_direction(rng, "light/key", (0.0, -0.8, -1.0)),
        fill_direction=_direction(rng, "light/fill", (0.0, -0.4, -0.8)),
        sky_direction=_direction(rng, "light/sky", (0.0, -1.5, -0.3)),
        key=2.0 * light_level * key_fraction * _light_colour(rng, "light/key"),
        fill=rng.uniform("light/fill_level", 1, high=0.8) * light_level * _light_colour(rng, "light/fill"),
        ambient=light_level * (1.15 - key_fraction) * 0.9 * _light_colour(rng, "light/ambient"),
        sky_weight=rng.uniform("light/sky_share", 1, high=0.8),
        shadow_softness=rng.uniform("shadow/softness", 1, low=0.4, high=2.5),
        shadow_strength=rng.uniform("shadow/strength", 1, low=0.7, high=1.0),
        exposure=exposure * torch.exp(rng.normal("exposure", 1, std=0.22)),
        gamma=rng.uniform("gamma", 1, low=1.9, high=2.5),
        background_gain=torch.ones(len(rng), 1, device=rng.device),
    )


def _apply_infrared(appearance: Appearance, rng: CounterRng) -> Appearance:
    """Replace the appearance of images of infrared cameras.

    The only light source is a lamp next to the lens. At about 850 nm melanin and haemoglobin absorb little, so that all
    skin is bright, pale and smooth; most dyes are transparent, so that cloth is bright as well. The background receives
    less light.
    """

    def replace_infrared(name: str, value: Tensor) -> Tensor:
        visible = getattr(appearance, name)
        chosen = sample_infrared(rng).view(-1, *[1] * (visible.ndim - 1))
        return torch.where(chosen, value.to(visible.dtype), visible)

    reflectance = rng.uniform("infrared/skin", 1, 1, low=0.42, high=0.62) - 0.12 * appearance.darkness  # (B, 2, 1)
    lamp = rng.uniform("infrared/lamp", 1, low=1.2, high=2.6)
    dark = torch.zeros_like(appearance.fill)
    infrared = {
        "skin": reflectance.expand(-1, -1, 3),
        "nail": (reflectance + 0.03).expand(-1, -1, 3),
        "noise_weights": 0.35 * appearance.noise_weights,
        "crease": 0.5 * appearance.crease,
        "redness": 0 * appearance.redness,
        "pallor": 0.1 * appearance.pallor,
        "cloth": (0.6 * appearance.cloth.mean(1, keepdim=True) + 0.25).expand(-1, 3),
        "cloth_secondary": (0.6 * appearance.cloth_secondary.mean(1, keepdim=True) + 0.25).expand(-1, 3),
        "key_direction": F.normalize(
            rng.normal("infrared/beside", 3, std=0.15) - torch.tensor([0.0, 0.0, 1.0], device=rng.device), dim=1
        ),
        "key": lamp.expand(-1, 3),
        "fill": dark,
        "ambient": dark + 0.06 * lamp,
        "exposure": torch.ones_like(appearance.exposure),
        "background_gain": rng.uniform("infrared/surroundings", 1, low=0.15, high=0.8),
    }
    return appearance._replace(**{name: replace_infrared(name, value) for name, value in infrared.items()})
