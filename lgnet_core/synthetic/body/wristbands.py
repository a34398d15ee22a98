"""What is worn around the wrist: the straps of watches, fitness bands, bangles, beads, cords."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import torch
from torch import Tensor

from lgnet_core.synthetic.body.surface import Coat, Surface, unit
from lgnet_core.synthetic.body.tubes import TUBES, WRIST_TUBE, Place, Tubes, fragments_of, of_hands
from lgnet_core.synthetic.colours import random_colour, to_linear
from lgnet_core.synthetic.random import Draws

BANDED = 0.12
"""Share of arms with something around the wrist: about a quarter of all people wear a watch, on one arm."""
BEHIND_WRIST = (0.016, 0.042)
"""Metres to the middle of a band from the end of the hand's mesh, which is 15 mm behind the wrist joint."""


class Kind(IntEnum):
    """Of a band."""

    WATCH = 0
    FITNESS = 1
    BANGLE = 2
    BEADS = 3
    CORD = 4


KIND_WEIGHTS = [0.5, 0.12, 0.14, 0.12, 0.12]
WIDTH = ((0.016, 0.022), (0.014, 0.018), (0.003, 0.01), (0.006, 0.01), (0.003, 0.01))
"""Metres, by kind."""

METALS = ((1.0, 0.80, 0.42), (0.93, 0.93, 0.95), (0.78, 0.78, 0.80), (0.30, 0.30, 0.33))
"""Gold, silver, steel, dark; display colours."""
_LEATHERS = ((0.10, 0.08, 0.07), (0.36, 0.22, 0.13), (0.55, 0.36, 0.2), (0.2, 0.13, 0.1))
_LEATHER, _RUBBER, _LINKS = range(3)
_STRAP_WEIGHTS = [0.4, 0.3, 0.3]
_ARC = 0.027  # metres of circumference a radian: the wrist's mean radius
_LINK = 0.007  # metres
SHADE, SHADOW = 0.002, 0.5
"""Metres beside a band that lie in its shade, and how dark it is there."""
EDGE = 0.0004
"""Metres over which an edge fades."""


class Bands(NamedTuple):
    """What each arm wears; (B, 2, C), lengths in metres.

    kind (1), -1 for nothing; middle (1) along the wrist's tube; half (1) width; slant (2) along for each metre above
    and across; colour, second (3) linear; metal (1); pitch (1) of links and beads.
    """

    kind: Tensor
    middle: Tensor
    half: Tensor
    slant: Tensor
    colour: Tensor
    second: Tensor
    metal: Tensor
    pitch: Tensor


def draw_bands(draws: Draws) -> Bands:
    """Draw the bands of a batch of images."""

    def choose(name: str, colours: tuple[tuple[float, ...], ...]) -> Tensor:
        linear = to_linear(torch.tensor(colours, device=draws.device))
        return linear[draws.choice(f"band/{name}", [1.0] * len(colours), 2)]

    kind = draws.choice("band/kind", KIND_WEIGHTS, 2)[..., None]
    low, high = torch.tensor(WIDTH, device=draws.device)[kind[..., 0]].split(1, -1)
    half = torch.lerp(low, high, draws.uniform("band/width", 2, 1)) / 2
    flat = (kind == Kind.WATCH) | (kind == Kind.FITNESS)  # lies tight; the others hang
    slant = draws.normal("band/slant", 2, 2) * torch.where(flat, 0.03, 0.12)

    strap = draws.choice("band/strap", _STRAP_WEIGHTS, 2)[..., None]
    links = (kind == Kind.WATCH) & (strap == _LINKS)
    vivid, second = random_colour(draws, "band/colour", 2), random_colour(draws, "band/second", 2)
    rubber = torch.where(draws.bernoulli("band/black", 0.5, 2, 1), 0.012, vivid)
    colour = torch.where((kind == Kind.FITNESS) | ((kind == Kind.WATCH) & (strap == _RUBBER)), rubber, vivid)
    colour = torch.where((kind == Kind.WATCH) & (strap == _LEATHER), choose("leather", _LEATHERS), colour)
    metal = links | (kind == Kind.BANGLE)
    return Bands(
        kind=torch.where(draws.bernoulli("band", BANDED, 2, 1), kind, -1),
        middle=draws.uniform("band/middle", 2, 1, low=BEHIND_WRIST[0], high=BEHIND_WRIST[1]),
        half=half,
        slant=slant,
        colour=torch.where(metal, choose("metal", METALS), colour),
        second=second,
        metal=metal,
        pitch=torch.where(links, _LINK, torch.where(kind == Kind.BEADS, 2 * half, 1.0)),
    )


def locate_bands(bands: Bands, surface: Surface, hand: Tensor, bare: Tensor, tubes: Tubes, reach: float) -> Place:
    """Fragments of skin less than ``reach`` metres from the middle of a band, placed relative to it."""
    index = fragments_of((bands.kind >= 0).flatten(), hand, bare)
    whose = hand.index_select(0, index)
    place = tubes.place(surface, index, whose, torch.full_like(whose, WRIST_TUBE))
    middle, up, aside = torch.cat([bands.middle, bands.slant], -1).flatten(0, 1).index_select(0, whose).unbind(1)
    along = place.along - middle - up * place.above - aside * place.across
    return place._replace(along=along).where(along.abs() < reach)


def put_on_bands(surface: Surface, place: Place, bands: Bands, directions: Tensor) -> Surface:
    """The surface with bands on it; its normals are bent in place.

    Args:
        place: of :func:`locate_bands`. directions: of :meth:`Tubes.directions`.
    """
    worn = Bands(*of_hands(bands, place.hand))
    near = place.along.abs() < worn.half[0] + SHADE
    place = place.where(near)
    worn = Bands(*(values[:, near] for values in worn))
    along, above, across = directions[place.hand * TUBES + WRIST_TUBE].permute(1, 2, 0)  # (3, M) each
    angle = torch.atan2(place.across, place.above)
    around = across * angle.cos() - above * angle.sin()  # (3, M) along the circumference
    half, kind = worn.half[0], worn.kind[0]

    cell = angle * _ARC / worn.pitch[0]
    in_cell = 2 * (cell - cell.round())  # -1 to 1
    side = (place.along / half).clamp(-1, 1)
    beads, cord, links = kind == Kind.BEADS, kind == Kind.CORD, worn.pitch[0] == _LINK
    bead = torch.hypot(side, in_cell)
    beyond = torch.where(beads, (bead - 1) * half, place.along.abs() - half)
    cover = (0.5 - beyond / EDGE).clamp(0, 1)
    shade = SHADOW * (1 - beyond / SHADE).clamp(0, 1)

    strand = torch.sin((angle * _ARC + 0.6 * place.along) * 2500)
    mixed = torch.where(cord, (2 * strand + 0.5).clamp(0, 1), 0.0)
    mixed = torch.where(beads & (cell.round().remainder(3) == 0), 1.0, mixed)
    colour = torch.lerp(worn.colour, worn.second, mixed)
    gap = links & (in_cell.abs() > 0.86)
    colour = colour * torch.where(gap, 0.25, 1.0)

    bevel = torch.where((kind == Kind.WATCH) | (kind == Kind.FITNESS), side**5, side)
    bend = torch.where(beads, in_cell, torch.where(links, in_cell**3, torch.where(cord, 0.5 * strand, 0.0)))
    normal = surface.normal.index_select(1, place.fragment)
    surface.normal.index_copy_(1, place.fragment, unit(normal + cover * (0.8 * bevel * along + 0.8 * bend * around)))
    metal = worn.metal[0]
    shiny = torch.where(beads, 0.4, torch.where(cord, 0.02, torch.where(metal > 0, 0.3, 0.07)))
    coat = Coat(
        fragment=place.fragment,
        colour=colour * cover,
        opacity=torch.maximum(shade, cover),
        gloss=shiny * cover,
        sharpness=torch.where(beads | (metal > 0), 60.0, 15.0),
        metal=metal * cover * torch.where(gap, 0.3, 1.0),
    )
    return surface._replace(coats=(*surface.coats, coat))
