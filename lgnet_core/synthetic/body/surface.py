"""The visible surface of hands and arms at rendered fragments, and the coats worn over it.

Vectors are (C, N), channels first.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

PLAIN, STRIPES, CHECKS, BLOTCHES = range(4)
"""Patterns of cloth."""


class Coat(NamedTuple):
    """What covers M fragments of a surface: a ring, a strap, a glove.

    fragment: (M,) int64 places among the surface's, each once; colour: (3, M) linear; opacity: (M,) 1 where nothing
    shines through; gloss, sharpness: (M,) of the highlight; metal: (M,) how much of the light is mirrored.
    """

    fragment: Tensor
    colour: Tensor
    opacity: Tensor
    gloss: Tensor
    sharpness: Tensor
    metal: Tensor


class Surface(NamedTuple):
    """The visible surface at N fragments.

    batch, side, material: (N,) int64; position: (3, N) camera frame, metres; normal: (3, N) unit, camera frame;
    rest: (3, N) on the rest hand, metres; details: (4, N) painted details; coats: the lowest first.
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
        """(B, C) of the images to (C, N) of their fragments."""
        return values.t().contiguous().index_select(1, self.batch)

    def per_hand(self, values: Tensor) -> Tensor:
        """(B, 2, C) of the hands to (C, N) of their fragments."""
        return values.flatten(0, 1).t().contiguous().index_select(1, self.batch * 2 + self.side)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """(N,) scalar products of (3, N) vectors."""
    return (a * b).sum(0)


def unit(vectors: Tensor) -> Tensor:
    """(3, N) vectors of length one."""
    return vectors * dot(vectors, vectors).clamp_min(1e-20).rsqrt()


def vertex_normals(vertices: Tensor, faces: Tensor, incident: Tensor) -> Tensor:
    """Unit normals (B, V, 3), area-weighted; incident: (V, D) faces of each vertex, padded with F."""
    a, b, c = (vertices.index_select(1, faces[:, k]) for k in range(3))
    areas = F.pad(torch.linalg.cross(b - a, c - a).transpose(1, 2), (0, 1))  # (B, 3, F + 1)
    summed = areas.index_select(2, incident.flatten()).unflatten(2, incident.shape).sum(3)
    return F.normalize(summed, dim=1).transpose(1, 2)


def incident_faces(faces: Tensor, vertex_count: int, limit: int = 10) -> Tensor:
    """(V, D) the faces of each vertex, at most ``limit`` of them, padded with F."""
    lists: list[list[int]] = [[] for _ in range(vertex_count)]
    for number, corners in enumerate(faces.tolist()):
        for vertex in corners:
            if len(lists[vertex]) < limit:
                lists[vertex].append(number)
    return torch.tensor([row + [len(faces)] * (limit - len(row)) for row in lists])


def pattern_mix(pattern: Tensor, rest: Tensor, blotches: Tensor, wave: Tensor, cross: Tensor) -> Tensor:
    """(N,) how much of its second colour a patterned cloth shows, 0 to 1.

    Args:
        pattern: (N,) of ``PLAIN``, ``STRIPES``, ``CHECKS``, ``BLOTCHES``. rest: (3, N) metres on the rest hand.
        blotches: (N,) noise. wave, cross: (3, N) radians per metre.
    """
    first, second = dot(rest, wave).sin(), dot(rest, cross).sin()
    height = torch.where(pattern == CHECKS, first * second, first)
    height = torch.where(pattern == BLOTCHES, blotches, height)
    return torch.where(pattern == PLAIN, 0.0, (height * 4 + 0.5).clamp(0, 1))
