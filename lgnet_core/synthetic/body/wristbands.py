"""Wristbands: watch straps, fitness bands, bangles, beads and cords; sampling and rendering."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import torch
from torch import Tensor

from lgnet_core.synthetic.body.segment_frames import (
    SEGMENT_COUNT,
    WRIST_SEGMENT,
    SegmentCoordinates,
    SegmentFrames,
    gather_per_hand,
    select_fragments,
)
from lgnet_core.synthetic.body.surface import Coat, Surface, normalize
from lgnet_core.synthetic.colours import sample_colour, srgb_to_linear
from lgnet_core.synthetic.rng import CounterRng

BAND_PROBABILITY = 0.12
"""Fraction of arms with a wristband: about a quarter of all people wear a watch, on one arm."""
WRIST_OFFSET = (0.016, 0.042)
"""Distance of the band from the end of the hand mesh, which is 15 mm behind the wrist joint, metres."""


class BandKind(IntEnum):
    """Type of a wristband."""

    WATCH = 0
    FITNESS = 1
    BANGLE = 2
    BEADS = 3
    CORD = 4


KIND_WEIGHTS = [0.5, 0.12, 0.14, 0.12, 0.12]
WIDTH = ((0.016, 0.022), (0.014, 0.018), (0.003, 0.01), (0.006, 0.01), (0.003, 0.01))
"""Width range of each kind, metres."""

METALS = ((1.0, 0.80, 0.42), (0.93, 0.93, 0.95), (0.78, 0.78, 0.80), (0.30, 0.30, 0.33))
"""Display colours of gold, silver, steel and dark metal."""
_LEATHERS = ((0.10, 0.08, 0.07), (0.36, 0.22, 0.13), (0.55, 0.36, 0.2), (0.2, 0.13, 0.1))
_LEATHER, _RUBBER, _LINKS = range(3)
_STRAP_WEIGHTS = [0.4, 0.3, 0.3]
_WRIST_RADIUS = 0.027  # mean, metres
_LINK_PITCH = 0.007  # metres
SHADOW_WIDTH, SHADOW_OPACITY = 0.002, 0.5
"""Contact shadow on the skin next to a band: width, metres, and opacity."""
EDGE_WIDTH = 0.0004
"""Width of anti-aliased edges, metres."""


class Wristbands(NamedTuple):
    """Wristband parameters of each arm.

    Shapes:
        (B, 2, C), lengths in metres. kind: C = 1, -1 for none; offset: 1, along the wrist segment; half_width: 1;
        slant: 2, slope of the band along per above and across; colour, secondary: 3, linear RGB; metallic: 1;
        pitch: 1, of links and beads.
    """

    kind: Tensor
    offset: Tensor
    half_width: Tensor
    slant: Tensor
    colour: Tensor
    secondary: Tensor
    metallic: Tensor
    pitch: Tensor


def sample_wristbands(rng: CounterRng) -> Wristbands:
    """Sample the wristbands of a batch of images."""

    def choose(name: str, colours: tuple[tuple[float, ...], ...]) -> Tensor:
        linear = srgb_to_linear(torch.tensor(colours, device=rng.device))
        return linear[rng.choice(f"band/{name}", [1.0] * len(colours), 2)]

    kind = rng.choice("band/kind", KIND_WEIGHTS, 2)[..., None]
    low, high = torch.tensor(WIDTH, device=rng.device)[kind[..., 0]].split(1, -1)
    half_width = torch.lerp(low, high, rng.uniform("band/width", 2, 1)) / 2
    tight = (kind == BandKind.WATCH) | (kind == BandKind.FITNESS)  # other kinds hang loosely
    slant = rng.normal("band/slant", 2, 2) * torch.where(tight, 0.03, 0.12)

    strap = rng.choice("band/strap", _STRAP_WEIGHTS, 2)[..., None]
    links = (kind == BandKind.WATCH) & (strap == _LINKS)
    vivid, secondary = sample_colour(rng, "band/colour", 2), sample_colour(rng, "band/second", 2)
    rubber = torch.where(rng.bernoulli("band/black", 0.5, 2, 1), 0.012, vivid)
    colour = torch.where((kind == BandKind.FITNESS) | ((kind == BandKind.WATCH) & (strap == _RUBBER)), rubber, vivid)
    colour = torch.where((kind == BandKind.WATCH) & (strap == _LEATHER), choose("leather", _LEATHERS), colour)
    metallic = links | (kind == BandKind.BANGLE)
    return Wristbands(
        kind=torch.where(rng.bernoulli("band", BAND_PROBABILITY, 2, 1), kind, -1),
        offset=rng.uniform("band/middle", 2, 1, low=WRIST_OFFSET[0], high=WRIST_OFFSET[1]),
        half_width=half_width,
        slant=slant,
        colour=torch.where(metallic, choose("metal", METALS), colour),
        secondary=secondary,
        metallic=metallic,
        pitch=torch.where(links, _LINK_PITCH, torch.where(kind == BandKind.BEADS, 2 * half_width, 1.0)),
    )


def locate_wristbands(
    bands: Wristbands, surface: Surface, hand: Tensor, bare: Tensor, segment_frames: SegmentFrames, reach: float
) -> SegmentCoordinates:
    """Coordinates of skin fragments within ``reach`` metres of a band, relative to its centre line."""
    index = select_fragments((bands.kind >= 0).flatten(), hand, bare)
    hand_index = hand.index_select(0, index)
    coordinates = segment_frames.coordinates(surface, index, hand_index, torch.full_like(hand_index, WRIST_SEGMENT))
    offset, above_slope, across_slope = (
        torch.cat([bands.offset, bands.slant], -1).flatten(0, 1).index_select(0, hand_index).unbind(1)
    )
    along = coordinates.along - offset - above_slope * coordinates.above - across_slope * coordinates.across
    return coordinates._replace(along=along).select(along.abs() < reach)


def apply_wristbands(surface: Surface, coordinates: SegmentCoordinates, bands: Wristbands, axes: Tensor) -> Surface:
    """Add the coats of wristbands to the surface; normals are modified in place.

    Args:
        coordinates: of :func:`locate_wristbands`. axes: of :meth:`SegmentFrames.axes`.
    """
    worn = Wristbands(*gather_per_hand(bands, coordinates.hand))
    near = coordinates.along.abs() < worn.half_width[0] + SHADOW_WIDTH
    coordinates = coordinates.select(near)
    worn = Wristbands(*(values[:, near] for values in worn))
    along, above, across = axes[coordinates.hand * SEGMENT_COUNT + WRIST_SEGMENT].permute(1, 2, 0)  # (3, M) each
    angle = torch.atan2(coordinates.across, coordinates.above)
    around = across * angle.cos() - above * angle.sin()  # (3, M) along the circumference
    half_width, kind = worn.half_width[0], worn.kind[0]

    cell = angle * _WRIST_RADIUS / worn.pitch[0]
    in_cell = 2 * (cell - cell.round())  # -1 to 1
    side = (coordinates.along / half_width).clamp(-1, 1)
    beads, cord, links = kind == BandKind.BEADS, kind == BandKind.CORD, worn.pitch[0] == _LINK_PITCH
    bead = torch.hypot(side, in_cell)
    edge_distance = torch.where(beads, (bead - 1) * half_width, coordinates.along.abs() - half_width)
    coverage = (0.5 - edge_distance / EDGE_WIDTH).clamp(0, 1)
    shadow = SHADOW_OPACITY * (1 - edge_distance / SHADOW_WIDTH).clamp(0, 1)

    strand = torch.sin((angle * _WRIST_RADIUS + 0.6 * coordinates.along) * 2500)
    mixed = torch.where(cord, (2 * strand + 0.5).clamp(0, 1), 0.0)
    mixed = torch.where(beads & (cell.round().remainder(3) == 0), 1.0, mixed)
    colour = torch.lerp(worn.colour, worn.secondary, mixed)
    gap = links & (in_cell.abs() > 0.86)
    colour = colour * torch.where(gap, 0.25, 1.0)

    bevel = torch.where((kind == BandKind.WATCH) | (kind == BandKind.FITNESS), side**5, side)
    bend = torch.where(beads, in_cell, torch.where(links, in_cell**3, torch.where(cord, 0.5 * strand, 0.0)))
    normal = surface.normal.index_select(1, coordinates.fragment)
    surface.normal.index_copy_(
        1, coordinates.fragment, normalize(normal + coverage * (0.8 * bevel * along + 0.8 * bend * around))
    )
    metallic = worn.metallic[0]
    specular = torch.where(beads, 0.4, torch.where(cord, 0.02, torch.where(metallic > 0, 0.3, 0.07)))
    coat = Coat(
        fragment=coordinates.fragment,
        colour=colour * coverage,
        opacity=torch.maximum(shadow, coverage),
        specular=specular * coverage,
        shininess=torch.where(beads | (metallic > 0), 60.0, 15.0),
        metallic=metallic * coverage * torch.where(gap, 0.3, 1.0),
    )
    return surface._replace(coats=(*surface.coats, coat))
