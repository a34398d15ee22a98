"""Gloves of cloth, knit, leather and latex, and work gloves, some fingerless: sampling and rendering."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from lgnet_core.synthetic.body.segment_frames import (
    RING_JOINTS,
    WRIST_SEGMENT,
    SegmentFrames,
    gather_per_hand,
    select_fragments,
)
from lgnet_core.synthetic.body.skin import CREASE, FINE, GRAIN, MIDDLE, PALM, lookup_noise
from lgnet_core.synthetic.body.surface import Coat, Surface, pattern_blend
from lgnet_core.synthetic.colours import sample_colour, srgb_to_linear
from lgnet_core.synthetic.rng import CounterRng

GLOVE_PROBABILITY = 0.05
"""Fraction of images with gloves: kitchens, laboratories, workshops, winter."""
BOTH_GLOVES_PROBABILITY = 0.85
"""Fraction of these images with gloves on both hands."""
FINGERLESS_PROBABILITY = 0.2
"""Fraction of gloves that are fingerless, cut at the proximal phalanges; never latex or work gloves."""
CUFF_OFFSET = (-0.004, 0.045)
"""Position of the cuff, metres behind the end of the hand mesh, which is 15 mm behind the wrist joint."""
CUT_OFFSET = (-0.004, 0.010)
"""Position of the cut of fingerless gloves, metres from the origin of the finger segments towards the tips."""


class Fabric(IntEnum):
    """Material of a glove."""

    CLOTH = 0
    KNIT = 1
    LEATHER = 2
    LATEX = 3
    WORK = 4


FABRIC_WEIGHTS = [0.25, 0.2, 0.18, 0.22, 0.15]
_PATTERN_WEIGHTS = [0.5, 0.2, 0.1, 0.2]
# Display colours.
_LEATHERS = ((0.08, 0.07, 0.07), (0.3, 0.19, 0.12), (0.5, 0.35, 0.22), (0.16, 0.1, 0.08), (0.62, 0.5, 0.36))
_LATEXES = ((0.2, 0.42, 0.75), (0.45, 0.65, 0.85), (0.93, 0.92, 0.88), (0.09, 0.09, 0.1), (0.42, 0.32, 0.62))
_BACKS = ((0.75, 0.75, 0.74), (0.5, 0.5, 0.52), (0.12, 0.12, 0.13), (0.85, 0.78, 0.45), (0.6, 0.62, 0.65))
_COATINGS = ((0.1, 0.1, 0.11), (0.12, 0.28, 0.55), (0.65, 0.14, 0.1), (0.2, 0.45, 0.25), (0.85, 0.45, 0.1))
_HIGHLIGHTS = ((0.015, 8.0), (0.01, 6.0), (0.16, 22.0), (0.30, 55.0), (0.01, 6.0))  # specular, shininess of each fabric
_COATING_HIGHLIGHT = (0.12, 18.0)
_NOISE_CELLS = 1000.0  # per metre
_KNIT_RIB, _KNIT_ROW = 2100.0, 2900.0  # wave numbers of knitted fabric, radians per metre: about 3 and 2 mm
_EDGE_WIDTH = 0.0005  # of anti-aliased edges, metres
_SHADOW_WIDTH, _SHADOW_OPACITY = 0.0025, 0.4  # contact shadow next to an edge: width, metres, and opacity


class Gloves(NamedTuple):
    """Glove parameters of each hand.

    Shapes:
        (B, 2, C), lengths in metres. worn, fingerless: C = 1, bool; fabric: 1, see :class:`Fabric`; cuff, cut: 1, see
        :data:`CUFF_OFFSET` and :data:`CUT_OFFSET`; hem: 1, width of the hem in the secondary colour; colour, secondary:
        3, linear RGB; pattern: 1, wave, cross: 3, see :func:`~lgnet_core.synthetic.body.surface.pattern_blend`;
        noise_offset: 3, noise cells.
    """

    worn: Tensor
    fingerless: Tensor
    fabric: Tensor
    cuff: Tensor
    cut: Tensor
    hem: Tensor
    colour: Tensor
    secondary: Tensor
    pattern: Tensor
    wave: Tensor
    cross: Tensor
    noise_offset: Tensor


def sample_gloves(rng: CounterRng) -> Gloves:
    """Sample the gloves of a batch of images; both gloves of a pair are equal."""

    def choose(name: str, colours: tuple[tuple[float, ...], ...]) -> Tensor:
        linear = srgb_to_linear(torch.tensor(colours, device=rng.device))
        return linear[rng.choice(f"glove/{name}", [1.0] * len(colours))]

    gloved = rng.bernoulli("glove", GLOVE_PROBABILITY, 1)
    one_hand = F.one_hot(rng.choice("glove/side", [1.0, 1.0]), 2).bool()
    worn = gloved & (rng.bernoulli("glove/both", BOTH_GLOVES_PROBABILITY, 1) | one_hand)  # (B, 2)
    fabric = rng.choice("glove/fabric", FABRIC_WEIGHTS, 1)
    fingerless = rng.bernoulli("glove/fingerless", FINGERLESS_PROBABILITY, 1)
    fabric = torch.where(fingerless, fabric % Fabric.LATEX, fabric)
    colour, secondary = sample_colour(rng, "glove"), sample_colour(rng, "glove/second")
    colour = torch.where(fabric == Fabric.LEATHER, choose("leather", _LEATHERS), colour)
    colour = torch.where(fabric == Fabric.LATEX, choose("latex", _LATEXES), colour)
    work = fabric == Fabric.WORK
    colour, secondary = (
        torch.where(work, choose("back", _BACKS), colour),
        torch.where(work, choose("coating", _COATINGS), secondary),
    )
    patterned = (fabric == Fabric.CLOTH) | (fabric == Fabric.KNIT)
    frequency = rng.uniform("glove/frequency", 1, low=4.5, high=6.6).exp()
    hem = rng.uniform("glove/hem width", 1, low=0.006, high=0.02) * rng.bernoulli("glove/hem", 0.4, 1)
    fields = Gloves(
        worn=worn[..., None],
        fingerless=fingerless,
        fabric=fabric,
        cuff=rng.uniform("glove/cuff", 1, low=CUFF_OFFSET[0], high=CUFF_OFFSET[1]),
        cut=rng.uniform("glove/cut", 1, low=CUT_OFFSET[0], high=CUT_OFFSET[1]),
        hem=torch.where(fabric == Fabric.LATEX, 0.0, hem),
        colour=colour,
        secondary=secondary,
        pattern=rng.choice("glove/pattern", _PATTERN_WEIGHTS, 1) * patterned,
        wave=frequency * F.normalize(rng.normal("glove/wave", 3), dim=1),
        cross=frequency * F.normalize(rng.normal("glove/cross", 3), dim=1),
        noise_offset=rng.uniform("glove/offset", 3, high=64.0),
    )
    return Gloves(fields.worn, *(values[:, None].expand(-1, 2, -1) for values in fields[1:]))


def glove_brightness(gloves: Gloves) -> Tensor:
    """Mean brightness (B, 2, 1) of the gloves, for automatic exposure."""
    two_coloured = (gloves.pattern > 0) | (gloves.fabric == Fabric.WORK)
    mixed = torch.where(two_coloured, (gloves.colour + gloves.secondary) / 2, gloves.colour)
    return mixed.mean(-1, keepdim=True)


def apply_gloves(
    surface: Surface, hand: Tensor, bare: Tensor, segment_frames: SegmentFrames, noise: Tensor, gloves: Gloves
) -> Surface:
    """Add the coats of gloves to the surface.

    Args:
        hand: (N,) image * 2 + side of each fragment. bare: (N,) mask of skin fragments.
        noise: of :func:`~lgnet_core.synthetic.body.skin.noise_volume`.
    """
    index = select_fragments(gloves.worn.flatten(), hand, bare)
    hand_index = hand.index_select(0, index)
    glove = Gloves(*gather_per_hand(gloves, hand_index))
    edge_distance = (
        segment_frames.coordinates(surface, index, hand_index, torch.full_like(hand_index, WRIST_SEGMENT)).along
        - glove.cuff[0]
    )
    inside_hem = edge_distance > -glove.hem[0]
    cut = (glove.fingerless[0] > 0).nonzero()[:, 0]
    cut_distance = _along_nearest_finger(surface, index[cut], hand_index[cut], segment_frames) - glove.cut[0, cut]
    edge_distance = edge_distance.index_copy(0, cut, torch.maximum(edge_distance[cut], cut_distance))

    near = edge_distance < _SHADOW_WIDTH
    index, edge_distance, inside_hem = index[near], edge_distance[near], inside_hem[near]
    glove = Gloves(*(values[:, near] for values in glove))
    coverage = (0.5 - edge_distance / _EDGE_WIDTH).clamp(0, 1)
    rest, details = surface.rest.index_select(1, index), surface.details.index_select(1, index)
    cells = lookup_noise(noise, rest * _NOISE_CELLS + glove.noise_offset)

    fabric = glove.fabric[0].long()
    coated = (fabric == Fabric.WORK) & (details[PALM] + 0.1 * cells[MIDDLE] > 0.4)
    mix = pattern_blend(glove.pattern[0], rest, cells[MIDDLE], glove.wave, glove.cross)
    mix = torch.where(coated | ((fabric != Fabric.WORK) & inside_hem), 1.0, mix)
    colour = torch.lerp(glove.colour, glove.secondary, mix) * _texture(fabric, coated, rest, cells, details[CREASE])
    specular, shininess = colour.new_tensor(_HIGHLIGHTS)[fabric].unbind(1)
    coat = Coat(
        fragment=index,
        colour=colour * coverage,
        opacity=torch.maximum(coverage, _SHADOW_OPACITY * (1 - edge_distance / _SHADOW_WIDTH).clamp(0, 1)),
        specular=torch.where(coated, _COATING_HIGHLIGHT[0], specular) * coverage,
        shininess=torch.where(coated, _COATING_HIGHLIGHT[1], shininess),
        metallic=torch.zeros_like(coverage),
    )
    return surface._replace(coats=(*surface.coats, coat))


def _along_nearest_finger(surface: Surface, index: Tensor, hand: Tensor, segment_frames: SegmentFrames) -> Tensor:
    """Coordinate (M,) along the nearest finger segment of each fragment, metres."""
    fingers = [
        segment_frames.coordinates(surface, index, hand, torch.full_like(hand, finger))
        for finger in range(len(RING_JOINTS))
    ]
    nearest = torch.stack([p.above.square() + p.across.square() for p in fingers]).argmin(0, keepdim=True)
    return torch.stack([p.along for p in fingers]).gather(0, nearest)[0]


def _texture(fabric: Tensor, coated: Tensor, rest: Tensor, cells: Tensor, crease: Tensor) -> Tensor:
    """Brightness modulation (M,) by the texture of the fabric."""
    woven = 1 + 0.08 * cells[GRAIN] + 0.05 * cells[FINE]
    knit = 1 + 0.15 * (_KNIT_RIB * rest[2]).sin() + 0.07 * (_KNIT_ROW * rest[0]).sin() + 0.05 * cells[GRAIN]
    leather = (1 + 0.10 * cells[MIDDLE] + 0.06 * cells[FINE]) * (1 - 0.4 * crease)
    smooth = 1 + 0.02 * cells[MIDDLE]
    coating = 1 + 0.04 * cells[FINE] + 0.03 * cells[GRAIN]
    by_fabric = torch.stack([woven, knit, leather, smooth, torch.where(coated, coating, knit)])
    return by_fabric.gather(0, fabric[None])[0]
