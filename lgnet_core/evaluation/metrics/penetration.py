r"""How far the two hands of a pair go through each other, as predicted and in truth.

A vertex is inside the other hand if the hand's surface, closed at the wrist, winds around it:

.. math:: w = \frac{1}{4 \pi} \sum_f \Omega_f > \frac{1}{2}

with the solid angles of the triangles. Its depth is its distance from the other hand's surface; a pair's is that of
its deepest vertex, 0 where none is inside.

Sources: Van Oosterom and Strackee 1983, "The Solid Angle of a Plane Triangle"; Ericson, "Real-Time Collision
Detection", 2005, section 5.1.5 (nearest point of a triangle).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lgnet_core.evaluation.comparison import Comparison
from lgnet_core.evaluation.image_sets import Labelled
from lgnet_core.evaluation.metrics import MaskedMean
from lgnet_core.evaluation.protocol import MILLIMETRES
from lgnet_core.hand_model import HandModel
from lgnet_core.types import Side

_AT_ONCE = 256  # vertices that are held against all triangles of the other hand


class Penetration(NamedTuple):
    """Of a pair: ``depth`` in metres of the deepest vertex, ``share`` of both hands' vertices that are inside."""

    depth: float
    share: float


class ClosedHands:
    """Triangles of both hands, closed by a fan over the open wrist; each outward.

    Args:
        hand_model: gives the triangles.

    Attributes:
        faces: (2, F + N, 3); vertex 778 is the middle of the wrist's border of N edges.
    """

    def __init__(self, hand_model: HandModel) -> None:
        self.open = hand_model.faces
        self.faces = torch.stack([self._closed(faces) for faces in hand_model.faces])
        self.border = [_border(faces)[:, 0] for faces in hand_model.faces]

    def close(self, vertices: Tensor, side: Side) -> Tensor:
        """(778, 3) -> (779, 3)."""
        return torch.cat([vertices, vertices[self.border[side]].mean(0, keepdim=True)])

    @staticmethod
    def _closed(faces: Tensor) -> Tensor:
        border = _border(faces)
        middle = faces.max() + 1
        fan = torch.stack([border[:, 1], border[:, 0], middle.expand(len(border))], -1)
        return torch.cat([faces, fan])


def _border(faces: Tensor) -> Tensor:
    """(N, 2) edges that belong to one triangle only, as they run in it."""
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    _, kind, count = edges.sort(-1).values.unique(dim=0, return_inverse=True, return_counts=True)
    return edges[count[kind] == 1]


def winding_number(points: Tensor, triangles: Tensor) -> Tensor:
    """How often a closed, outward surface winds around points: 1 inside, 0 outside.

    Shapes:
        points: (P, 3); triangles: (F, 3, 3) corners; returns (P,).
    """
    a, b, c = (triangles[None] - points[:, None, None]).unbind(2)  # (P, F, 3)
    la, lb, lc = (x.norm(dim=-1) for x in (a, b, c))
    volume = (a * torch.linalg.cross(b, c)).sum(-1)
    below = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
    return torch.atan2(volume, below).sum(-1) / (2 * math.pi)


def distance_to_surface(points: Tensor, triangles: Tensor) -> Tensor:
    """Distance of points from the nearest of some triangles.

    Shapes:
        points: (P, 3); triangles: (F, 3, 3); returns (P,).
    """
    a, b, c = triangles.unbind(1)  # (F, 3)
    p = points[:, None]  # (P, 1, 3)
    normal = torch.linalg.cross(b - a, c - a)
    area = normal.square().sum(-1).clamp_min(1e-30)
    height = ((p - a) * normal).sum(-1)  # (P, F)
    foot = p - height[..., None] * normal / area[:, None]
    over = torch.ones_like(height, dtype=torch.bool)  # the foot lies in the triangle
    nearest = torch.full_like(height, math.inf)
    for start, end in ((a, b), (b, c), (c, a)):
        edge = end - start
        over &= (torch.linalg.cross(edge.expand_as(foot), foot - start) * normal).sum(-1) >= 0
        along = ((p - start) * edge).sum(-1) / edge.square().sum(-1).clamp_min(1e-30)
        on_edge = start + along.clamp(0, 1)[..., None] * edge
        nearest = torch.minimum(nearest, (p - on_edge).norm(dim=-1))
    return torch.where(over, height.abs() / area.sqrt(), nearest).amin(-1)


def penetration(vertices: Tensor, hands: ClosedHands) -> Penetration:
    """How far two hands go through each other.

    Args:
        vertices: of both, metres, in one frame.

    Shapes:
        vertices: (2, 778, 3).
    """
    deepest, inside = 0.0, 0
    for side in Side:
        mine, theirs = vertices[side], vertices[side.other]
        low, high = theirs.amin(0), theirs.amax(0)
        near = mine[((mine > low) & (mine < high)).all(-1)]
        for points in near.split(_AT_ONCE):
            closed = hands.close(theirs, side.other)[hands.faces[side.other]]
            points = points[winding_number(points, closed) > 0.5]
            if len(points):
                inside += len(points)
                surface = theirs[hands.open[side.other]]
                deepest = max(deepest, float(distance_to_surface(points, surface).max()))
    return Penetration(deepest, inside / (vertices.shape[0] * vertices.shape[1]))


class PenetrationScore:
    """Mean penetration of the pairs, as predicted and in truth; an observer of an evaluation.

    The left hand stands where the predicted relative translation puts it.

    Args:
        hand_model: of the network.
        every: every so many pairs one is measured, which takes about 30 ms on a CPU; the first one always.
    """

    def __init__(self, hand_model: HandModel, every: int = 1) -> None:
        self._hands, self._every, self._pairs = ClosedHands(hand_model), every, 0
        # depth in mm, per cent of the vertices, per cent of the pairs
        self._said, self._true = MaskedMean(3), MaskedMean(3)

    def update(self, outcome: Comparison, read: Labelled) -> None:
        """Add the pairs of a batch."""
        pairs = outcome.select(outcome.pairs)
        known = pairs.surfaces.all(1).tolist()
        for k, shift in enumerate(pairs.relative_translation):
            self._pairs += 1
            if (self._pairs - 1) % self._every:
                continue
            self._add(self._said, pairs.vertices[k], shift)
            if known[k]:
                self._add(self._true, pairs.true_vertices[k], pairs.true_relative_translation[k])

    def _add(self, mean: MaskedMean, vertices: Tensor, shift: Tensor) -> None:
        if not (vertices.isfinite().all() and shift.isfinite().all()):
            return
        found = penetration(torch.stack([vertices[Side.RIGHT], vertices[Side.LEFT] + shift]), self._hands)
        values = [found.depth * MILLIMETRES, 100 * found.share, 100 * float(found.depth > 0)]
        mean.accumulate(torch.tensor([values]), torch.ones(1, dtype=torch.bool))

    def compute(self) -> dict[str, dict[str, float | int]]:
        """Means ``said`` by the network, and ``true``; NaN: no pair."""
        keys = ("depth_mm", "vertices_percent", "pairs_percent")
        return {
            name: {"pairs": int(mean.count[0]), **dict(zip(keys, (mean.total / mean.count).tolist()))}
            for name, mean in (("said", self._said), ("true", self._true))
        }
