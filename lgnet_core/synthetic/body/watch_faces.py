"""Watch faces: round analogue faces, square smartwatches and displays of fitness bands; sampling and rendering."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lgnet_core.synthetic.body.segment_frames import SEGMENT_COUNT, WRIST_SEGMENT, SegmentCoordinates, gather_per_hand
from lgnet_core.synthetic.body.surface import Coat, Surface, normalize
from lgnet_core.synthetic.body.wristbands import EDGE_WIDTH, METALS, SHADOW_OPACITY, SHADOW_WIDTH, BandKind, Wristbands
from lgnet_core.synthetic.colours import sample_colour, srgb_to_linear
from lgnet_core.synthetic.rng import CounterRng

RADIUS = (0.0145, 0.021)
"""Radius of watch cases, metres: diameters of 29 to 42 mm."""
SQUARE_CASE_PROBABILITY = 0.4
"""Fraction of square watches, mostly smartwatches."""
DORSAL_PROBABILITY = 0.92
"""Fraction of watches on the back of the wrist; the others are on the inside."""

_COLOURS = ((0.06, 0.06, 0.07), (0.94, 0.94, 0.92), (0.1, 0.14, 0.3), (0.75, 0.72, 0.65))
_COLOUR_WEIGHTS = [0.4, 0.35, 0.15, 0.1]
_SCREEN_ON_PROBABILITY = 0.3
_BEZEL_WIDTH = 0.0022  # metres
_DISPLAY = (0.9, 0.017)  # half size of fitness displays: fraction of the half width along, metres across


class WatchFaces(NamedTuple):
    """Watch face parameters of each arm.

    Shapes:
        (B, 2, C), lengths in metres. half_size: C = 2, along and across the arm, 0 for none; square: 1;
        lateral_offset: 1, from the middle of the wrist; dorsal_sign: 1, +1 on the back and -1 on the inside of the
        wrist; face_colour, bezel_colour: 3, linear RGB; hour, minute: 1, angles of the watch hands, radians.
    """

    half_size: Tensor
    square: Tensor
    lateral_offset: Tensor
    dorsal_sign: Tensor
    face_colour: Tensor
    bezel_colour: Tensor
    hour: Tensor
    minute: Tensor


def sample_watch_faces(rng: CounterRng, bands: Wristbands) -> WatchFaces:
    """Sample the faces of the watches among the wristbands."""
    watch, fitness = bands.kind == BandKind.WATCH, bands.kind == BandKind.FITNESS
    square = rng.bernoulli("dial/square", SQUARE_CASE_PROBABILITY, 2, 1) | fitness
    radius = rng.uniform("dial/radius", 2, 1, low=RADIUS[0], high=RADIUS[1])
    half_size = torch.cat([radius, torch.where(square, 0.85 * radius, radius)], -1)
    display = torch.cat([_DISPLAY[0] * bands.half_width, torch.full_like(bands.half_width, _DISPLAY[1])], -1)
    half_size = torch.where(fitness, display, half_size) * (watch | fitness)
    colours, metals = (srgb_to_linear(torch.tensor(values, device=rng.device)) for values in (_COLOURS, METALS))
    face_colour = colours[rng.choice("dial/face", _COLOUR_WEIGHTS, 2)]
    lit = rng.bernoulli("dial/screen", _SCREEN_ON_PROBABILITY, 2, 1)
    glass = torch.where(lit, sample_colour(rng, "dial/screen colour", 2), 0.006)
    return WatchFaces(
        half_size=half_size,
        square=square,
        lateral_offset=rng.normal("dial/aside", 2, 1, std=0.003),
        dorsal_sign=torch.where(rng.bernoulli("dial/on back", DORSAL_PROBABILITY, 2, 1), 1.0, -1.0),
        face_colour=torch.where(square, glass, face_colour),
        bezel_colour=metals[rng.choice("dial/bezel", [0.15, 0.25, 0.3, 0.3], 2)],
        hour=rng.uniform("dial/hour", 2, 1, high=2 * math.pi),
        minute=rng.uniform("dial/minute", 2, 1, high=2 * math.pi),
    )


def apply_watch_faces(
    surface: Surface, coordinates: SegmentCoordinates, watch_faces: WatchFaces, axes: Tensor
) -> Surface:
    """Add the coats of watch faces to the surface; normals are modified in place.

    Args:
        coordinates: relative to the centre lines of the bands. axes: of :meth:`SegmentFrames.axes`.
    """
    watch_face = WatchFaces(*gather_per_hand(watch_faces, coordinates.hand))
    across = coordinates.across - watch_face.lateral_offset[0]
    size = watch_face.half_size.amin(0)
    power = torch.where(watch_face.square[0] > 0, 6.0, 2.0)
    reach = watch_face.half_size.clamp_min(1e-4)
    radius = ((coordinates.along / reach[0]).abs() ** power + (across / reach[1]).abs() ** power) ** (1 / power)
    edge_distance = (radius - 1) * size  # approximate distance outside the case, metres
    near = (edge_distance < SHADOW_WIDTH) & (size > 0) & (coordinates.above * watch_face.dorsal_sign[0] > 0)
    coordinates, watch_face = coordinates.select(near), WatchFaces(*(values[:, near] for values in watch_face))
    radius, edge_distance, along, across = radius[near], edge_distance[near], coordinates.along, across[near]

    coverage = (0.5 - edge_distance / EDGE_WIDTH).clamp(0, 1)
    shadow = SHADOW_OPACITY * (1 - edge_distance / SHADOW_WIDTH).clamp(0, 1)
    bezel_colour = (0.5 + (edge_distance + _BEZEL_WIDTH) / EDGE_WIDTH).clamp(0, 1)
    marked = _marks(watch_face, radius, along, across) * (1 - bezel_colour) * (1 - watch_face.square[0])
    contrast = torch.where(watch_face.face_colour.mean(0) > 0.2, 0.02, 0.7)
    colour = torch.lerp(torch.lerp(watch_face.face_colour, contrast, marked), watch_face.bezel_colour, bezel_colour)

    axis, above, sideways = axes[coordinates.hand * SEGMENT_COUNT + WRIST_SEGMENT].permute(1, 2, 0)  # (3, M) each
    size = watch_face.half_size.amin(0)
    lean = bezel_colour * 0.8 * (along * axis + across * sideways) / size
    flat = normalize(above * watch_face.dorsal_sign + lean)
    normal = surface.normal.index_select(1, coordinates.fragment)
    surface.normal.index_copy_(1, coordinates.fragment, normalize(torch.lerp(normal, flat, coverage)))
    coat = Coat(
        fragment=coordinates.fragment,
        colour=colour * coverage,
        opacity=torch.maximum(shadow, coverage),
        specular=coverage * 0.5,
        shininess=torch.full_like(coverage, 150.0),
        metallic=bezel_colour * coverage,
    )
    return surface._replace(coats=(*surface.coats, coat))


def _marks(watch_face: WatchFaces, radius: Tensor, along: Tensor, across: Tensor) -> Tensor:
    """Mask (M,) of hour marks and watch hands, 0 or 1."""
    hour_position = torch.atan2(across, along) * (12 / (2 * math.pi))
    marks = ((hour_position - hour_position.round()).abs() < 0.13) & (radius > 0.68) & (radius < 0.84)
    for angle, length, half_size in ((watch_face.hour[0], 0.45, 0.0010), (watch_face.minute[0], 0.72, 0.0007)):
        along_hand = along * angle.cos() + across * angle.sin()
        across_hand = across * angle.cos() - along * angle.sin()
        marks = marks | (
            (along_hand > -0.001) & (along_hand < length * watch_face.half_size[0]) & (across_hand.abs() < half_size)
        )
    return marks.float()
