"""Which gloves are worn: of cloth, wool, leather and latex, with fingers or without, and for work."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from lgnet_core.synthetic.colours import random_colour, to_linear
from lgnet_core.synthetic.random import Draws

GLOVED = 0.05
"""Share of images with gloves: kitchens, laboratories, workshops, winter."""
BOTH = 0.85
"""... of these on both hands."""
FINGERLESS = 0.2
"""... of these cut off at the fingers' first segments; never latex or work gloves."""
CUFF = (-0.004, 0.045)
"""Where gloves end, metres behind the end of the hand's mesh, which is 15 mm behind the wrist joint."""
CUT = (-0.004, 0.010)
"""Where fingerless ones are cut, metres from the middle of the fingers' first segments towards the tips."""


class Fabric(IntEnum):
    """What a glove is made of."""

    CLOTH = 0
    KNIT = 1
    LEATHER = 2
    LATEX = 3
    WORK = 4


FABRIC_WEIGHTS = [0.25, 0.2, 0.18, 0.22, 0.15]
_PATTERN_WEIGHTS = [0.5, 0.2, 0.1, 0.2]
# display colours
_LEATHERS = ((0.08, 0.07, 0.07), (0.3, 0.19, 0.12), (0.5, 0.35, 0.22), (0.16, 0.1, 0.08), (0.62, 0.5, 0.36))
_LATEXES = ((0.2, 0.42, 0.75), (0.45, 0.65, 0.85), (0.93, 0.92, 0.88), (0.09, 0.09, 0.1), (0.42, 0.32, 0.62))
_BACKS = ((0.75, 0.75, 0.74), (0.5, 0.5, 0.52), (0.12, 0.12, 0.13), (0.85, 0.78, 0.45), (0.6, 0.62, 0.65))
_COATINGS = ((0.1, 0.1, 0.11), (0.12, 0.28, 0.55), (0.65, 0.14, 0.1), (0.2, 0.45, 0.25), (0.85, 0.45, 0.1))


class Gloves(NamedTuple):
    """What each hand wears; (B, 2, C), lengths in metres.

    worn, fingerless (1) bool; fabric (1); cuff, cut (1), see :data:`CUFF`, :data:`CUT`; hem (1) width of another
    colour at the cuff; colour, second (3) linear; pattern (1); wave, cross (3) radians a metre; offset (3) cells.
    """

    worn: Tensor
    fingerless: Tensor
    fabric: Tensor
    cuff: Tensor
    cut: Tensor
    hem: Tensor
    colour: Tensor
    second: Tensor
    pattern: Tensor
    wave: Tensor
    cross: Tensor
    offset: Tensor


def draw_gloves(draws: Draws) -> Gloves:
    """Draw the gloves of a batch of images; both of a pair are alike."""

    def choose(name: str, colours: tuple[tuple[float, ...], ...]) -> Tensor:
        linear = to_linear(torch.tensor(colours, device=draws.device))
        return linear[draws.choice(f"glove/{name}", [1.0] * len(colours))]

    gloved = draws.bernoulli("glove", GLOVED, 1)
    one = F.one_hot(draws.choice("glove/side", [1.0, 1.0]), 2).bool()
    worn = gloved & (draws.bernoulli("glove/both", BOTH, 1) | one)  # (B, 2)
    fabric = draws.choice("glove/fabric", FABRIC_WEIGHTS, 1)
    fingerless = draws.bernoulli("glove/fingerless", FINGERLESS, 1)
    fabric = torch.where(fingerless, fabric % Fabric.LATEX, fabric)
    colour, second = random_colour(draws, "glove"), random_colour(draws, "glove/second")
    colour = torch.where(fabric == Fabric.LEATHER, choose("leather", _LEATHERS), colour)
    colour = torch.where(fabric == Fabric.LATEX, choose("latex", _LATEXES), colour)
    work = fabric == Fabric.WORK
    colour, second = (
        torch.where(work, choose("back", _BACKS), colour),
        torch.where(work, choose("coating", _COATINGS), second),
    )
    patterned = (fabric == Fabric.CLOTH) | (fabric == Fabric.KNIT)
    frequency = draws.uniform("glove/frequency", 1, low=4.5, high=6.6).exp()
    hem = draws.uniform("glove/hem width", 1, low=0.006, high=0.02) * draws.bernoulli("glove/hem", 0.4, 1)
    fields = Gloves(
        worn=worn[..., None],
        fingerless=fingerless,
        fabric=fabric,
        cuff=draws.uniform("glove/cuff", 1, low=CUFF[0], high=CUFF[1]),
        cut=draws.uniform("glove/cut", 1, low=CUT[0], high=CUT[1]),
        hem=torch.where(fabric == Fabric.LATEX, 0.0, hem),
        colour=colour,
        second=second,
        pattern=draws.choice("glove/pattern", _PATTERN_WEIGHTS, 1) * patterned,
        wave=frequency * F.normalize(draws.normal("glove/wave", 3), dim=1),
        cross=frequency * F.normalize(draws.normal("glove/cross", 3), dim=1),
        offset=draws.uniform("glove/offset", 3, high=64.0),
    )
    return Gloves(fields.worn, *(values[:, None].expand(-1, 2, -1) for values in fields[1:]))


def glove_brightness(gloves: Gloves) -> Tensor:
    """(B, 2, 1) mean of the colours that gloves show, as a camera's meter sees them."""
    several = (gloves.pattern > 0) | (gloves.fabric == Fabric.WORK)
    mixed = torch.where(several, (gloves.colour + gloves.second) / 2, gloves.colour)
    return mixed.mean(-1, keepdim=True)
