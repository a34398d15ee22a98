"""Attributes of the visible surface at rendered fragments, coats applied on top, and mesh and cloth utilities.

Vectors are (C, N), channels first.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

PLAIN, STRIPES, CHECKS, BLOTCHES = range(4)
"""Cloth patterns."""


class Coat(NamedTuple):
    """Material layer on top of M fragments of a surface: a ring, a strap, a glove.

    Shapes:
        fragment: (M,) int64 unique indices into the fragments of the surface; colour: (3, M) linear RGB, black in
        contact shadows; opacity: (M,) in [0, 1]; specular, shininess: (M,) strength and exponent of the highlight;
        metallic: (M,) fraction of mirror reflection.
    """

    fragment: Tensor
    colour: Tensor
    opacity: Tensor
    specular: Tensor
    shininess: Tensor
    metallic: Tensor


class Surface(NamedTuple):
    """Attributes of the visible surface at N fragments.

    Shapes:
        batch, side, material: (N,) int64; position: (3, N) camera frame, metres; normal: (3, N) unit, camera frame;
        rest: (3, N) position on the rest hand, metres; details: (4, N) skin details, see
        :mod:`~lgnet_core.synthetic.body.skin`; coats: from bottom to top.
    """

    batch: Tensor
    side: Tensor
    material: Tensor
    position: Tensor
    normal: Tensor
    rest: Tensor
    details: Tensor
    coats: tuple[Coat, ...] = ()

    def per_image(self, values: Tensor) -> Tensor:
        """Gather per-image values (B, C) at the fragments, (C, N)."""
        return values.t().contiguous().index_select(1, self.batch)

    def per_hand(self, values: Tensor) -> Tensor:
        """Gather per-hand values (B, 2, C) at the fragments, (C, N)."""
        return values.flatten(0, 1).t().contiguous().index_select(1, self.batch * 2 + self.side)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Dot products (N,) of (3, N) vectors."""
    return (a * b).sum(0)


def normalize(vectors: Tensor) -> Tensor:
    """Normalize (3, N) vectors to unit length."""
    return vectors * dot(vectors, vectors).clamp_min(1e-20).rsqrt()


def vertex_normals(vertices: Tensor, faces: Tensor, incident: Tensor) -> Tensor:
    """Area-weighted vertex normals (B, V, 3); incident: (V, D) of :func:`incident_faces`."""
    a, b, c = (vertices.index_select(1, faces[:, k]) for k in range(3))
    areas = F.pad(torch.linalg.cross(b - a, c - a).transpose(1, 2), (0, 1))  # (B, 3, F + 1)
    summed = areas.index_select(2, incident.flatten()).unflatten(2, incident.shape).sum(3)
    return F.normalize(summed, dim=1).transpose(1, 2)


def incident_faces(faces: Tensor, vertex_count: int, limit: int = 10) -> Tensor:
    """Indices (V, D) of the faces of each vertex, D = ``limit`` at most, padded with the number of faces."""
    incident: list[list[int]] = [[] for _ in range(vertex_count)]
    for number, corners in enumerate(faces.tolist()):
        for vertex in corners:
            if len(incident[vertex]) < limit:
                incident[vertex].append(number)
    return torch.tensor([row + [len(faces)] * (limit - len(row)) for row in incident])


def pattern_blend(pattern: Tensor, rest: Tensor, blotches: Tensor, wave: Tensor, cross: Tensor) -> Tensor:
    """Weight (N,) of the secondary colour of a cloth pattern, in [0, 1].

    Args:
        pattern: (N,) ``PLAIN``, ``STRIPES``, ``CHECKS`` or ``BLOTCHES``. rest: (3, N) on the rest hand, metres.
        blotches: (N,) noise. wave, cross: (3, N) wave vectors of stripes and checks, radians per metre.
    """
    first, second = dot(rest, wave).sin(), dot(rest, cross).sin()
    height = torch.where(pattern == CHECKS, first * second, first)
    height = torch.where(pattern == BLOTCHES, blotches, height)
    return torch.where(pattern == PLAIN, 0.0, (height * 4 + 0.5).clamp(0, 1))
