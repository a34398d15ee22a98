r"""Interpenetration of the two hands of a pair, predicted and true.

A vertex is inside the other hand if the winding number of that hand's surface, closed at the wrist, exceeds 1/2:

.. math:: w = \frac{1}{4 \pi} \sum_f \Omega_f > \frac{1}{2}

with the solid angles of the triangles. The depth of a vertex is its distance from the other hand's surface; that of a
pair is the maximum, 0 if no vertex is inside. The volume of a pair is that of the intersection of the closed hands,
integrated along the lines of a grid.

Sources: Van Oosterom and Strackee 1983, "The Solid Angle of a Plane Triangle"; Ericson, "Real-Time Collision
Detection", 2005, section 5.1.5 (nearest point of a triangle); Hasson et al. 2019, "Learning joint reconstruction of
hands and manipulated objects" (depth and volume as measures of interpenetration).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lgnet_core.evaluation.comparison import Comparison
from lgnet_core.evaluation.datasets.base import LabelledImages
from lgnet_core.evaluation.metrics.alignment import MILLIMETRES
from lgnet_core.evaluation.metrics.errors import MaskedMean
from lgnet_core.hand_model import HandLayer
from lgnet_core.types import Side

_CHUNK_SIZE = 256  # vertices that are tested against all triangles of the other hand at once
_GRID_LINES = 24  # along each side of the region: volumes of hands within about 1 % of those with many more
_GRID_MARGIN = 0.005  # metres around the inner vertices: about an edge of the mesh
CUBIC_CENTIMETRES = 1e6


class Penetration(NamedTuple):
    """Of a pair: maximum ``depth`` in metres, ``fraction`` of both hands' vertices that are inside, and ``volume`` of
    the intersection in cubic metres."""

    depth: float
    fraction: float
    volume: float


class ClosedHands:
    """Meshes of both hands with the wrist closed by a triangle fan; faces point outward.

    Args:
        hand_model: provides the triangles.

    Attributes:
        faces: (2, F + N, 3); vertex 778 is the centroid of the wrist boundary with N edges.
    """

    def __init__(self, hand_model: HandLayer) -> None:
        self.open = hand_model.faces
        self.faces = torch.stack([self._closed(faces) for faces in hand_model.faces])
        self.boundary = [_boundary(faces)[:, 0] for faces in hand_model.faces]

    def close(self, vertices: Tensor, side: Side) -> Tensor:
        """(778, 3) -> (779, 3)."""
        return torch.cat([vertices, vertices[self.boundary[side]].mean(0, keepdim=True)])

    @staticmethod
    def _closed(faces: Tensor) -> Tensor:
        boundary = _boundary(faces)
        middle = faces.max() + 1
        fan = torch.stack([boundary[:, 1], boundary[:, 0], middle.expand(len(boundary))], -1)
        return torch.cat([faces, fan])


def _boundary(faces: Tensor) -> Tensor:
    """(N, 2) edges that belong to a single triangle, in the direction of that triangle."""
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    _, kind, count = edges.sort(-1).values.unique(dim=0, return_inverse=True, return_counts=True)
    return edges[count[kind] == 1]


def winding_number(points: Tensor, triangles: Tensor) -> Tensor:
    """Winding number of a closed, outward-oriented surface at points: 1 inside, 0 outside.

    Shapes:
        points: (P, 3); triangles: (F, 3, 3) corners; returns (P,).
    """
    a, b, c = (triangles[None] - points[:, None, None]).unbind(2)  # (P, F, 3)
    la, lb, lc = (x.norm(dim=-1) for x in (a, b, c))
    volume = (a * torch.linalg.cross(b, c)).sum(-1)
    denominator = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
    return torch.atan2(volume, denominator).sum(-1) / (2 * math.pi)


def distance_to_surface(points: Tensor, triangles: Tensor) -> Tensor:
    """Distance of points from the nearest triangle.

    Shapes:
        points: (P, 3); triangles: (F, 3, 3); returns (P,).
    """
    a, b, c = triangles.unbind(1)  # (F, 3)
    p = points[:, None]  # (P, 1, 3)
    normal = torch.linalg.cross(b - a, c - a)
    area = normal.square().sum(-1).clamp_min(1e-30)
    height = ((p - a) * normal).sum(-1)  # (P, F)
    projection = p - height[..., None] * normal / area[:, None]
    projects_inside = torch.ones_like(height, dtype=torch.bool)  # the projection lies in the triangle
    nearest = torch.full_like(height, math.inf)
    for start, end in ((a, b), (b, c), (c, a)):
        edge = end - start
        projects_inside &= (torch.linalg.cross(edge.expand_as(projection), projection - start) * normal).sum(-1) >= 0
        along = ((p - start) * edge).sum(-1) / edge.square().sum(-1).clamp_min(1e-30)
        on_edge = start + along.clamp(0, 1)[..., None] * edge
        nearest = torch.minimum(nearest, (p - on_edge).norm(dim=-1))
    return torch.where(projects_inside, height.abs() / area.sqrt(), nearest).amin(-1)


def penetration(vertices: Tensor, hands: ClosedHands) -> Penetration:
    """Interpenetration of two hands.

    Args:
        vertices: of both hands, metres, in one frame.

    Shapes:
        vertices: (2, 778, 3).
    """
    deepest = 0.0
    inside: list[Tensor] = []
    surfaces = [hands.close(vertices[side], side)[hands.faces[side]] for side in Side]
    for side in Side:
        own, other = vertices[side], vertices[side.other]
        low, high = other.amin(0), other.amax(0)
        near = own[((own > low) & (own < high)).all(-1)]
        for points in near.split(_CHUNK_SIZE):
            points = points[winding_number(points, surfaces[side.other]) > 0.5]
            if len(points):
                inside.append(points)
                surface = other[hands.open[side.other]]
                deepest = max(deepest, float(distance_to_surface(points, surface).max()))
    if not inside:
        return Penetration(0.0, 0.0, 0.0)
    region = torch.cat(inside)
    low, high = region.amin(0) - _GRID_MARGIN, region.amax(0) + _GRID_MARGIN
    volume = intersection_volume(surfaces[Side.RIGHT], surfaces[Side.LEFT], low, high)
    return Penetration(deepest, len(region) / (vertices.shape[0] * vertices.shape[1]), volume)


def intersection_volume(first: Tensor, second: Tensor, low: Tensor, high: Tensor) -> float:
    """Volume of the intersection of two closed, outward-oriented surfaces within a column along the z axis.

    Integrated exactly along the lines of a grid, and by the midpoint rule across them.

    Args:
        low, high: corners of a box whose x and y bound the intersection.

    Shapes:
        first, second: (F, 3, 3) corners of triangles; low, high: (3,).
    """
    steps = torch.arange(_GRID_LINES, device=low.device, dtype=torch.float64)
    # Middles of the cells, but for offsets that keep the lines off the edges of regular meshes.
    x, y = (low[k] + (steps + middle) * (high[k] - low[k]) / _GRID_LINES for k, middle in ((0, 0.50137), (1, 0.49829)))
    lines = torch.cartesian_prod(x, y)
    crossings = [_crossings(surface.double(), lines) for surface in (first, second)]
    line, z, turns = (torch.cat(values) for values in zip(*crossings))
    surface = (torch.arange(len(line), device=line.device) >= len(crossings[0][0])).long()
    # A line enters a surface as often as it leaves it, unless it meets an edge: then it is left out.
    sums = torch.zeros(len(lines), 2, dtype=torch.long, device=line.device)
    sums.index_put_((line, surface), turns, accumulate=True)
    kept = (sums == 0).all(1)[line].nonzero()[:, 0]
    order = kept[z[kept].argsort()]
    order = order[line[order].argsort(stable=True)]
    line, z, turns, surface = (values[order] for values in (line, z, turns, surface))
    windings = (F.one_hot(surface, 2) * turns[:, None]).cumsum(0)
    lengths = z.diff() * (windings > 0).all(1)[:-1]
    return float(lengths.sum() * (x[1] - x[0]) * (y[1] - y[0]))


def _crossings(triangles: Tensor, lines: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where lines along z cross a surface: index of the line, z, and 1 where the line enters or -1 where it leaves.

    Shapes:
        triangles: (F, 3, 3); lines: (L, 2) x and y; returns (N,) each.
    """
    low, high = lines.amin(0), lines.amax(0)
    near = (triangles[..., :2].amax(1) >= low).all(-1) & (triangles[..., :2].amin(1) <= high).all(-1)
    triangles = triangles[near]
    a, b, c = triangles[..., :2].unbind(1)

    def doubled_area(p: Tensor, q: Tensor, r: Tensor) -> Tensor:
        return (q[..., 0] - p[..., 0]) * (r[..., 1] - p[..., 1]) - (q[..., 1] - p[..., 1]) * (r[..., 0] - p[..., 0])

    point, area = lines[:, None], doubled_area(a, b, c)
    parts = torch.stack([doubled_area(b, c, point), doubled_area(c, a, point), doubled_area(a, b, point)], -1)
    hit = (parts * area[:, None].sign() > 0).all(-1)
    line, triangle = hit.nonzero(as_tuple=True)
    weights = parts[line, triangle] / area[triangle, None]
    z = (weights * triangles[triangle, :, 2]).sum(-1)
    return line, z, -area[triangle].sign().long()


class PenetrationScore:
    """Mean interpenetration of pairs, predicted and true; an evaluation observer.

    The left hand is placed with the predicted relative translation.

    Args:
        hand_model: of the network.
        every: measure every n-th pair, starting with the first; one pair takes about 30 ms on a CPU.
    """

    def __init__(self, hand_model: HandLayer, every: int = 1) -> None:
        self._hands, self._every, self._pairs = ClosedHands(hand_model), every, 0
        # depth in mm, volume in cm^3, penetrating vertices in per cent, penetrating pairs in per cent
        self._predicted, self._true = MaskedMean(4), MaskedMean(4)

    def update(self, comparison: Comparison, read: LabelledImages) -> None:
        """Add the pairs of a batch."""
        pairs = comparison.select(comparison.pairs)
        known = pairs.vertices_known.all(1).tolist()
        for k, shift in enumerate(pairs.relative_translation):
            self._pairs += 1
            if (self._pairs - 1) % self._every:
                continue
            self._add(self._predicted, pairs.vertices[k], shift)
            if known[k]:
                self._add(self._true, pairs.true_vertices[k], pairs.true_relative_translation[k])

    def _add(self, mean: MaskedMean, vertices: Tensor, shift: Tensor) -> None:
        if not (vertices.isfinite().all() and shift.isfinite().all()):
            return
        result = penetration(torch.stack([vertices[Side.RIGHT], vertices[Side.LEFT] + shift]), self._hands)
        values = [
            result.depth * MILLIMETRES,
            result.volume * CUBIC_CENTIMETRES,
            100 * result.fraction,
            100 * float(result.depth > 0),
        ]
        mean.accumulate(torch.tensor([values]), torch.ones(1, dtype=torch.bool))

    def compute(self) -> dict[str, dict[str, float | int]]:
        """Means for ``predicted`` and ``true`` pairs; NaN without pairs."""
        keys = ("depth_mm", "volume_cm3", "vertices_percent", "pairs_percent")
        return {
            name: {"pairs": int(mean.count[0]), **dict(zip(keys, (mean.total / mean.count).tolist()))}
            for name, mean in (("predicted", self._predicted), ("true", self._true))
        }
