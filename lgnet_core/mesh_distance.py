r"""The distance between two triangle surfaces, and where they are nearest: exact, in a few milliseconds at most.

The nearest points of two surfaces lie on a vertex and inside a triangle, on two edges, or where an edge goes through a
triangle. What is far away is left out first. No point of a triangle with longest edge L is further than its reach
r = L / sqrt(3) from all three corners; so corners a, b next to the nearest points obey |a - b| <= d + r_a + r_b, and
any two vertices bound d from above. The other surface's box, then all pairs of vertices, then bounding spheres leave
few pairs of edges and triangles, and these are computed in closed form: the answer is exact to rounding, 1e-8 m at a
hand's size.

Source of the closed forms: Ericson, "Real-Time Collision Detection", 2005, sections 5.1.9, 5.3.6; Moeller and Trumbore,
"Fast, Minimum Storage Ray/Triangle Intersection", 1997.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lgnet_core.types import FloatArray

Indices = NDArray[np.integer]

_SLACK = 1e-7  # metres by which rounding may misjudge a distance
_PARALLEL = 1e-12  # squared sine of the angle from which two lines, or a line and a plane, count as parallel
_TINY = 1e-30
_BLOCK = 256  # edges that are held against all triangles at once
_UNSHARED = 80_000  # entries of a product that BLAS computes in one thread; on a busy machine two cost 30 ms, not 0.1


class Nearest(NamedTuple):
    """The nearest points of two surfaces: ``distance`` in metres; ``a``, ``b`` (3,) on the first and the second."""

    distance: float
    a: FloatArray
    b: FloatArray


def surface_distance(a: FloatArray, faces_a: Indices, b: FloatArray, faces_b: Indices) -> Nearest:
    """The distance between two triangle surfaces; 0 where they touch or intersect.

    Surfaces, not solids: one that floats inside the other without crossing it keeps its distance. Where they intersect,
    both points are one point of the curve in which they do.

    Args:
        a, b: vertices, metres, in one frame.
        faces_a, faces_b: their triangles.

    Shapes:
        a: (V, 3); faces_a: (F, 3); b: (W, 3); faces_b: (G, 3).
    """
    middle = (a.mean(0) + b.mean(0)) / 2  # small numbers round less
    first, second, best = _facing_parts(_Surface.of(a - middle, faces_a), _Surface.of(b - middle, faces_b))
    if best.distance <= first.reach() + second.reach():  # else no edge can come as far as a triangle
        crossing = _crossing(first, second)
        if crossing is None:
            crossing = _crossing(second, first)
        if crossing is not None:
            return Nearest(0.0, crossing + middle, crossing + middle)
    first, second = _slab(first, second, best)
    best = _above_triangles(first, second, best)
    best = _swapped(_above_triangles(second, first, _swapped(best)))
    best = _between_edges(*_slab(first, second, best), best)
    return Nearest(best.distance, best.a + middle, best.b + middle)


class _Surface(NamedTuple):
    """Points (V, 3), and the vertices (N,), faces (F, 3) and edges (E, 2) that count, as indices of points."""

    points: FloatArray
    vertices: Indices
    faces: Indices
    edges: Indices

    @classmethod
    def of(cls, points: FloatArray, faces: Indices) -> _Surface:
        return cls(points, np.arange(len(points)), faces, _edges(faces.tobytes(), faces.dtype.str))

    def around(self, near: NDArray[np.bool_]) -> _Surface:
        """What is left of vertices, faces and edges if each needs a corner in a mask (V,) of the points."""
        edges, faces = near[self.edges], near[self.faces]
        return _Surface(
            self.points,
            self.vertices[near[self.vertices]],
            self.faces[faces[:, 0] | faces[:, 1] | faces[:, 2]],
            self.edges[edges[:, 0] | edges[:, 1]],
        )

    def reach(self) -> float:
        """Metres that a point of any triangle can be from the nearest of its corners, at most."""
        start, end = self.points[self.edges[:, 0]], self.points[self.edges[:, 1]]
        return float(np.sqrt(_squared(end - start).max() / 3))


@lru_cache(maxsize=8)
def _edges(faces: bytes, dtype: str) -> Indices:
    """(E, 2) edges of triangles, each once; they are the same for every picture of a hand."""
    corners = np.frombuffer(faces, dtype).reshape(-1, 3)
    return np.unique(np.sort(np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]]), 1), axis=0)


def _facing_parts(first: _Surface, second: _Surface) -> tuple[_Surface, _Surface, Nearest]:
    """The parts of two surfaces that can hold the nearest points, and the nearest two vertices."""
    a, b = first.points, second.points
    i = j = 0
    for _ in range(3):  # to and fro, each time to the nearest: a good bound, whichever it is
        j = int(_squared(b - a[i]).argmin())
        i = int(_squared(a - b[j]).argmin())
    bound = float(np.linalg.norm(a[i] - b[j])) + _SLACK
    box_a, box_b = (np.stack([points.min(0), points.max(0)]) for points in (a, b))
    reach_a, reach_b = first.reach(), second.reach()
    near_a = _squared(a - a.clip(*box_b)) <= (bound + reach_a) ** 2
    near_b = _squared(b - b.clip(*box_a)) <= (bound + reach_b) ** 2

    squared = _all_squared(a[near_a], b[near_b])
    row, column = divmod(int(squared.argmin()), squared.shape[1])
    best = _nearest(a[near_a][row, None], b[near_b][column, None])
    mutual = squared <= (best.distance + _SLACK + reach_a + reach_b) ** 2
    near_a[near_a], near_b[near_b] = mutual.any(1), mutual.any(0)
    return first.around(near_a), second.around(near_b), best


def _slab(first: _Surface, second: _Surface, best: Nearest) -> tuple[_Surface, _Surface]:
    """The parts that are no further apart along the line through two near points than these points are."""
    along = (best.b - best.a) / max(best.distance, _TINY)
    a, b = first.points @ along, second.points @ along
    low, high = b[second.faces].min(), a[first.faces].max()
    allowed = best.distance + _SLACK
    return first.around(a >= low - allowed), second.around(b <= high + allowed)


def _crossing(first: _Surface, second: _Surface) -> FloatArray | None:
    """A point (3,) where an edge of the first surface goes through a triangle of the second; None if none does."""
    corners = second.points[second.faces]
    for begin in range(0, len(first.edges), _BLOCK):  # of two hands in one place the first block has one
        points = _crossings(first.points[first.edges[begin : begin + _BLOCK]], corners)
        if len(points):
            return points[_squared(points - points.mean(0)).argmin()]
    return None


def _crossings(ends: FloatArray, corners: FloatArray) -> FloatArray:
    """(N, 3) points where edges (E, 2, 3) go through triangles (F, 3, 3)."""
    edge, face = _pairs(*_spheres(ends), *_spheres(corners), 0.0)
    origin, corner = ends[edge, 0], corners[face, 0]
    along, u_axis, v_axis = ends[edge, 1] - origin, corners[face, 1] - corner, corners[face, 2] - corner
    across = _cross(along, v_axis)
    volume = _dot(u_axis, across)
    flat = volume**2 <= _PARALLEL * _squared(along) * _squared(u_axis) * _squared(v_axis)
    volume[flat] = np.inf  # an edge in the plane of a triangle meets the triangle's edges
    out = origin - corner
    turned = _cross(out, u_axis)
    u, v, t = _dot(out, across) / volume, _dot(along, turned) / volume, _dot(v_axis, turned) / volume
    hit = ~flat & (u >= 0) & (v >= 0) & (u + v <= 1) & (t >= 0) & (t <= 1)
    return (origin + t[:, None] * along)[hit]


def _above_triangles(first: _Surface, second: _Surface, best: Nearest) -> Nearest:
    """The better of ``best`` and the first surface's vertices with the feet of their perpendiculars on the second.

    Only feet inside a triangle; where they are outside, an edge is as near.
    """
    points, corners = first.points[first.vertices], second.points[second.faces]
    vertex, face = _pairs(points, np.zeros(len(points)), *_spheres(corners), best.distance)
    point, corner = points[vertex], corners[face, 0]
    out, u_axis, v_axis = point - corner, corners[face, 1] - corner, corners[face, 2] - corner
    normal = _cross(u_axis, v_axis)
    area = np.maximum(_squared(normal), _TINY)
    u, v = _dot(_cross(out, v_axis), normal) / area, _dot(_cross(u_axis, out), normal) / area
    inside = (u >= 0) & (v >= 0) & (u + v <= 1)
    foot = point - (_dot(out, normal) / area)[:, None] * normal
    return _nearest(point[inside], foot[inside], best)


def _between_edges(first: _Surface, second: _Surface, best: Nearest) -> Nearest:
    """The better of ``best`` and the nearest points of two edges, their ends included."""
    ends_a, ends_b = first.points[first.edges], second.points[second.edges]
    i, j = _pairs(*_spheres(ends_a), *_spheres(ends_b), best.distance)
    start_a, start_b = ends_a[i, 0], ends_b[j, 0]
    along_a, along_b, between = ends_a[i, 1] - start_a, ends_b[j, 1] - start_b, start_a - start_b
    a, e = np.maximum(_squared(along_a), _TINY), np.maximum(_squared(along_b), _TINY)
    b, c, f = _dot(along_a, along_b), _dot(along_a, between), _dot(along_b, between)
    area = a * e - b * b
    s = np.where(area > _PARALLEL * a * e, (b * f - c * e) / np.maximum(area, _TINY), 0.0).clip(0, 1)
    t = ((b * s + f) / e).clip(0, 1)
    s = ((b * t - c) / a).clip(0, 1)
    return _nearest(start_a + s[:, None] * along_a, start_b + t[:, None] * along_b, best)


def _nearest(a: FloatArray, b: FloatArray, best: Nearest | None = None) -> Nearest:
    """The nearest of pairs of points (N, 3), or ``best`` if none is nearer."""
    if best is not None and not len(a):
        return best
    squared = _squared(a - b)
    k = int(squared.argmin())
    distance = float(np.sqrt(squared[k]))
    return Nearest(distance, a[k], b[k]) if best is None or distance < best.distance else best


def _swapped(nearest: Nearest) -> Nearest:
    return Nearest(nearest.distance, nearest.b, nearest.a)


def _spheres(corners: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Centres (N, 3) and radii (N,) of spheres around (N, K, 3) points."""
    count = corners.shape[1]
    centres = sum(corners[:, k] for k in range(count)) / count
    return centres, np.sqrt(np.max([_squared(corners[:, k] - centres) for k in range(count)], axis=0))


def _pairs(
    a: FloatArray, radii_a: FloatArray, b: FloatArray, radii_b: FloatArray, distance: float
) -> tuple[Indices, Indices]:
    """Spheres of two sets, as indices into both, that are no further apart than ``distance``."""
    together = np.add.outer(radii_a + (distance + _SLACK), radii_b)
    i, j = np.nonzero(_all_squared(a, b) <= together * together)
    return i, j


def _all_squared(a: FloatArray, b: FloatArray) -> FloatArray:
    """(N, M) squared distances of points (N, 3) and (M, 3)."""
    out = np.add.outer(_squared(a), _squared(b))
    rows = max(1, _UNSHARED // max(len(b), 1))
    for begin in range(0, len(a), rows):
        out[begin : begin + rows] -= (2 * a[begin : begin + rows]) @ b.T
    return out


def _squared(vectors: FloatArray) -> FloatArray:
    """(N,) squared lengths of rows (N, 3)."""
    return _dot(vectors, vectors)


def _dot(a: FloatArray, b: FloatArray) -> FloatArray:
    """(N,) products of rows (N, 3)."""
    return np.einsum("ij,ij->i", a, b)


def _cross(a: FloatArray, b: FloatArray) -> FloatArray:
    """(N, 3) cross products of rows; several times faster than numpy's for a few hundred of them."""
    ahead, behind = [1, 2, 0], [2, 0, 1]
    return a[:, ahead] * b[:, behind] - a[:, behind] * b[:, ahead]
