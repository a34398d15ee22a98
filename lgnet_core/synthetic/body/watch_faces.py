"""Faces of watches: round ones with two hands, square ones of glass, the displays of fitness bands."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lgnet_core.synthetic.body.bands import EDGE, METALS, SHADE, SHADOW, Bands, Kind
from lgnet_core.synthetic.body.surface import Coat, Surface, unit
from lgnet_core.synthetic.body.tubes import TUBES, WRIST_TUBE, Place, of_hands
from lgnet_core.synthetic.colours import random_colour, to_linear
from lgnet_core.synthetic.random import Draws

RADIUS = (0.0145, 0.021)
"""Of a watch's case, metres: a lady's watch of 29 mm to a diver's of 42 mm."""
SQUARE = 0.4
"""Share of square watches, most of them smart."""
ON_BACK = 0.92
"""Share of watches on the back of the wrist; the others are on its inside."""

_COLOURS = ((0.06, 0.06, 0.07), (0.94, 0.94, 0.92), (0.1, 0.14, 0.3), (0.75, 0.72, 0.65))
_COLOUR_WEIGHTS = [0.4, 0.35, 0.15, 0.1]
_SCREEN_ON = 0.3
_BEZEL = 0.0022  # metres of metal around a face
_DISPLAY = (0.9, 0.017)  # of a fitness band: parts of its half width along, metres across


class Dials(NamedTuple):
    """The face on each arm's band; (B, 2, C), lengths in metres.

    half (2) along and across, 0 for none; square (1); aside (1) from the middle of the wrist; outward (1) 1 on the
    back, -1 inside; face, bezel (3) linear colours; hour, minute (1) radians.
    """

    half: Tensor
    square: Tensor
    aside: Tensor
    outward: Tensor
    face: Tensor
    bezel: Tensor
    hour: Tensor
    minute: Tensor


def draw_dials(draws: Draws, bands: Bands) -> Dials:
    """Draw the faces of the watches among the bands."""
    watch, fitness = bands.kind == Kind.WATCH, bands.kind == Kind.FITNESS
    square = draws.bernoulli("dial/square", SQUARE, 2, 1) | fitness
    radius = draws.uniform("dial/radius", 2, 1, low=RADIUS[0], high=RADIUS[1])
    half = torch.cat([radius, torch.where(square, 0.85 * radius, radius)], -1)
    display = torch.cat([_DISPLAY[0] * bands.half, torch.full_like(bands.half, _DISPLAY[1])], -1)
    half = torch.where(fitness, display, half) * (watch | fitness)
    colours, metals = (to_linear(torch.tensor(values, device=draws.device)) for values in (_COLOURS, METALS))
    face = colours[draws.choice("dial/face", _COLOUR_WEIGHTS, 2)]
    lit = draws.bernoulli("dial/screen", _SCREEN_ON, 2, 1)
    glass = torch.where(lit, random_colour(draws, "dial/screen colour", 2), 0.006)
    return Dials(
        half=half,
        square=square,
        aside=draws.normal("dial/aside", 2, 1, std=0.003),
        outward=torch.where(draws.bernoulli("dial/on back", ON_BACK, 2, 1), 1.0, -1.0),
        face=torch.where(square, glass, face),
        bezel=metals[draws.choice("dial/bezel", [0.15, 0.25, 0.3, 0.3], 2)],
        hour=draws.uniform("dial/hour", 2, 1, high=2 * math.pi),
        minute=draws.uniform("dial/minute", 2, 1, high=2 * math.pi),
    )


def put_on_dials(surface: Surface, place: Place, dials: Dials, directions: Tensor) -> Surface:
    """The surface with watches' faces on it; its normals are bent in place.

    Args:
        place: relative to the bands' middles. directions: of :meth:`Tubes.directions`.
    """
    dial = Dials(*of_hands(dials, place.hand))
    across = place.across - dial.aside[0]
    size = dial.half.amin(0)
    power = torch.where(dial.square[0] > 0, 6.0, 2.0)
    reach = dial.half.clamp_min(1e-4)
    radius = ((place.along / reach[0]).abs() ** power + (across / reach[1]).abs() ** power) ** (1 / power)
    beyond = (radius - 1) * size  # metres outside the case, about
    near = (beyond < SHADE) & (size > 0) & (place.above * dial.outward[0] > 0)
    place, dial = place.where(near), Dials(*(values[:, near] for values in dial))
    radius, beyond, along, across = radius[near], beyond[near], place.along, across[near]

    cover = (0.5 - beyond / EDGE).clamp(0, 1)
    shade = SHADOW * (1 - beyond / SHADE).clamp(0, 1)
    bezel = (0.5 + (beyond + _BEZEL) / EDGE).clamp(0, 1)
    marked = _marks(dial, radius, along, across) * (1 - bezel) * (1 - dial.square[0])
    contrast = torch.where(dial.face.mean(0) > 0.2, 0.02, 0.7)
    colour = torch.lerp(torch.lerp(dial.face, contrast, marked), dial.bezel, bezel)

    axis, above, sideways = directions[place.hand * TUBES + WRIST_TUBE].permute(1, 2, 0)  # (3, M) each
    size = dial.half.amin(0)
    lean = bezel * 0.8 * (along * axis + across * sideways) / size
    flat = unit(above * dial.outward + lean)
    normal = surface.normal.index_select(1, place.fragment)
    surface.normal.index_copy_(1, place.fragment, unit(torch.lerp(normal, flat, cover)))
    coat = Coat(
        fragment=place.fragment,
        colour=colour * cover,
        opacity=torch.maximum(shade, cover),
        gloss=cover * 0.5,
        sharpness=torch.full_like(cover, 150.0),
        metal=bezel * cover,
    )
    return surface._replace(coats=(*surface.coats, coat))


def _marks(dial: Dials, radius: Tensor, along: Tensor, across: Tensor) -> Tensor:
    """(M,) where the hours' marks and the two hands are, 0 to 1."""
    turn = torch.atan2(across, along) * (12 / (2 * math.pi))
    marks = ((turn - turn.round()).abs() < 0.13) & (radius > 0.68) & (radius < 0.84)
    for angle, length, half in ((dial.hour[0], 0.45, 0.0010), (dial.minute[0], 0.72, 0.0007)):
        out = along * angle.cos() + across * angle.sin()
        off = across * angle.cos() - along * angle.sin()
        marks = marks | ((out > -0.001) & (out < length * dial.half[0]) & (off.abs() < half))
    return marks.float()
