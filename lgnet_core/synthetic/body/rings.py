"""Finger rings of several metals, some with a stone: sampling and rendering."""

from __future__ import annotations

import torch
from torch import Tensor

from lgnet_core.synthetic.body.segment_frames import SEGMENT_COUNT, SegmentCoordinates, SegmentFrames, select_fragments
from lgnet_core.synthetic.body.surface import Coat, Surface, normalize
from lgnet_core.synthetic.colours import sample_colour, srgb_to_linear
from lgnet_core.synthetic.rng import CounterRng

RING_PROBABILITY = 0.12
"""Fraction of hands with rings: about a fifth of all people wear some, mostly on one hand."""
RING_COUNT_WEIGHTS = [0.65, 0.25, 0.1]
"""Probabilities of one, two and three rings."""
FINGER_WEIGHTS = (0.4, 1.0, 1.1, 3.0, 0.8)
"""Relative frequencies of rings on thumb, index, middle, ring and little finger: mostly wedding rings."""
WIDTH = (0.0022, 0.0065)
"""Width along the finger, metres: from a plain band to a signet ring."""
STONE_PROBABILITY = 0.25
"""Fraction of rings with a stone."""

_METALS = ((1.0, 0.80, 0.42), (0.93, 0.68, 0.58), (0.93, 0.93, 0.95), (0.85, 0.84, 0.82), (0.32, 0.32, 0.34))  # sRGB
_METAL_WEIGHTS = [0.35, 0.1, 0.25, 0.15, 0.15]  # gold, rose gold, silver, steel, dark
_SLOTS = len(RING_COUNT_WEIGHTS)
RADIUS = 0.0115
"""Maximum distance of the surface of a finger from the axis of its segment, metres."""
SHADOW_WIDTH, SHADOW_OPACITY = 0.0014, 0.5
"""Contact shadow on the skin next to a ring: width, metres, and opacity."""
EDGE_WIDTH = 0.0004
"""Width of anti-aliased edges, metres."""
_ROUNDNESS = 1.1  # tilt of the normals at the edges of a half-round band


def sample_ring_fingers(rng: CounterRng) -> Tensor:
    """Segments (B, 2, 3) of the fingers that wear rings, -1 for none."""
    worn = rng.bernoulli("ring", RING_PROBABILITY, 2, 1)
    count = 1 + rng.choice("ring/count", RING_COUNT_WEIGHTS, 2, 1)
    weights = torch.tensor(FINGER_WEIGHTS, device=rng.device)
    # Weighted sampling without replacement: the largest u^(1/w) (Efraimidis and Spirakis, 2006).
    fingers = (rng.uniform("ring/finger", 2, len(FINGER_WEIGHTS)) ** (1 / weights)).topk(_SLOTS, -1).indices
    return torch.where(worn & (torch.arange(_SLOTS, device=rng.device) < count), fingers, -1)


def apply_rings(
    surface: Surface, hand: Tensor, bare: Tensor, segment_frames: SegmentFrames, axes: Tensor, rng: CounterRng
) -> Surface:
    """Add the coats of rings to the surface; normals are modified in place.

    Args:
        hand: (N,) image * 2 + side of each fragment. bare: (N,) mask of skin fragments.
        axes: of :meth:`SegmentFrames.axes`.
    """
    parameters = _sample_rings(rng).flatten(0, 1)  # (B * 2, 3, P)
    fingers = sample_ring_fingers(rng).flatten(0, 1)  # (B * 2, 3)
    hand_axes = axes.view(-1, SEGMENT_COUNT, 3, 3)
    chosen = select_fragments(fingers[:, 0] >= 0, hand, bare)
    for slot in range(_SLOTS):
        finger, ring = fingers[:, slot], parameters[:, slot]
        chosen = chosen[
            (finger >= 0).index_select(0, hand.index_select(0, chosen))
        ]  # hands with a third ring have a second one
        hand_index = hand.index_select(0, chosen)
        coordinates = segment_frames.coordinates(surface, chosen, hand_index, finger.index_select(0, hand_index))
        offset, half_width, stone = ring[:, :3].index_select(0, hand_index).unbind(1)
        coordinates = coordinates._replace(along=coordinates.along - offset)
        on_finger = coordinates.above.square() + coordinates.across.square() < RADIUS**2
        near = on_finger & (coordinates.along.abs() < torch.maximum(half_width + SHADOW_WIDTH, stone + EDGE_WIDTH))
        finger_axes = hand_axes[torch.arange(len(finger), device=finger.device), finger.clamp_min(0)]
        surface = _apply_ring(surface, coordinates.select(near), ring, finger_axes)
    return surface


def _sample_rings(rng: CounterRng) -> Tensor:
    """Ring parameters (B, 2, 3, 9): offset along the finger, half width, radius of the stone (metres; 0: none), and
    linear colours of metal and stone."""
    shape = (2, _SLOTS)
    offset = rng.normal("ring/shift", *shape, 1, std=0.0012).clamp(-0.003, 0.003)
    half_width = rng.uniform("ring/width", *shape, 1, low=WIDTH[0], high=WIDTH[1]) / 2
    stone = rng.uniform("ring/stone/size", *shape, 1, low=0.0018, high=0.0042)
    stone = torch.where(rng.bernoulli("ring/stone", STONE_PROBABILITY, *shape, 1), stone, 0.0)
    metals = srgb_to_linear(torch.tensor(_METALS, device=rng.device))
    metallic = metals[rng.choice("ring/metal", _METAL_WEIGHTS, *shape)]
    metallic = metallic * rng.uniform("ring/shade", *shape, 1, low=0.75, high=1.05)
    return torch.cat([offset, half_width, stone, metallic, sample_colour(rng, "ring/stone", *shape)], -1)


def _apply_ring(surface: Surface, coordinates: SegmentCoordinates, ring: Tensor, axes: Tensor) -> Surface:
    """Add the coat of at most one ring per hand; ring: (B * 2, 9), axes: (B * 2, 3, 3) of its finger."""
    half_width, stone, metallic, gem = ring.index_select(0, coordinates.hand).t()[1:].split((1, 1, 3, 3))
    along, _, across = axes.index_select(0, coordinates.hand).permute(1, 2, 0)  # (3, M) each
    edge_distance = coordinates.along.abs() - half_width[0]
    band_coverage = (0.5 - edge_distance / EDGE_WIDTH).clamp(0, 1)
    stone_distance = torch.hypot(coordinates.along, coordinates.across) - stone[0]
    gem_coverage = (0.5 - stone_distance / EDGE_WIDTH).clamp(0, 1) * ((coordinates.above > 0) & (stone[0] > 0))
    shadow = SHADOW_OPACITY * (1 - edge_distance / SHADOW_WIDTH).clamp(0, 1)

    band_tilt = along * (coordinates.along / half_width).clamp(-1, 1) * _ROUNDNESS * band_coverage
    stone_tilt = (along * coordinates.along + across * coordinates.across) / stone.clamp_min(1e-4)
    normal = surface.normal.index_select(1, coordinates.fragment)
    surface.normal.index_copy_(
        1, coordinates.fragment, normalize(normal + torch.lerp(band_tilt, stone_tilt, gem_coverage))
    )
    coat = Coat(
        fragment=coordinates.fragment,
        colour=torch.lerp(metallic * band_coverage, gem, gem_coverage),
        opacity=torch.stack([shadow, band_coverage, gem_coverage]).amax(0),
        specular=0.3 * band_coverage + 0.7 * gem_coverage,
        shininess=60 + 100 * gem_coverage,
        metallic=band_coverage + (0.25 - band_coverage) * gem_coverage,
    )
    return surface._replace(coats=(*surface.coats, coat))
