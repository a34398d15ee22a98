"""Triangle-mesh operations: boundary loops, Loop subdivision, and decimation to a subset of the vertices."""

from __future__ import annotations

import heapq
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Array = NDArray[np.float64]
Faces = NDArray[np.int64]


def edge_opposites(faces: Faces) -> dict[tuple[int, int], list[int]]:
    """Undirected edges (low, high) with the opposite vertex in each adjacent triangle (one for a boundary edge)."""
    opposites: dict[tuple[int, int], list[int]] = defaultdict(list)
    for a, b, c in faces.tolist():
        for x, y, z in ((a, b, c), (b, c, a), (c, a, b)):
            opposites[min(x, y), max(x, y)].append(z)
    return opposites


def boundary_loop(faces: Faces, start: NDArray[np.float64]) -> list[int]:
    """Vertices of the single open boundary in half-edge order, starting at the minimum of `start`."""
    opposites = edge_opposites(faces)
    following = {}
    for a, b, c in faces.tolist():
        for x, y in ((a, b), (b, c), (c, a)):
            if len(opposites[min(x, y), max(x, y)]) == 1:
                following[x] = y
    loop = [min(following, key=lambda v: start[v])]
    while following[loop[-1]] != loop[0]:
        loop.append(following[loop[-1]])
    if len(loop) != len(following):
        raise ValueError(f"one boundary loop expected, but {len(following) - len(loop)} boundary vertices lie off it")
    return loop


def loop_subdivision(faces: Faces, count: int) -> tuple[sparse.csr_matrix, Faces]:
    """One step of Loop subdivision as a linear operator, applicable to vertices and to skinning weights.

    Source: C. Loop, "Smooth subdivision surfaces based on triangles", 1987 (with cubic-spline boundaries).

    Returns:
        operator (count + E, count), rows sum to 1; faces (4 T, 3).
    """
    opposites = edge_opposites(faces)
    neighbours: dict[int, set[int]] = defaultdict(set)
    boundary: dict[int, list[int]] = defaultdict(list)
    for (a, b), across in opposites.items():
        neighbours[a].add(b)
        neighbours[b].add(a)
        if len(across) == 1:
            boundary[a].append(b)
            boundary[b].append(a)

    entries: list[tuple[int, int, float]] = []
    for v in range(count):
        if v in boundary:
            entries += [(v, v, 0.75)] + [(v, u, 0.125) for u in boundary[v]]
            continue
        ring = sorted(neighbours[v])
        beta = (5 / 8 - (3 / 8 + np.cos(2 * np.pi / len(ring)) / 4) ** 2) / len(ring)
        entries += [(v, v, 1 - len(ring) * beta)] + [(v, u, beta) for u in ring]
    middle = {}
    for new, ((a, b), across) in enumerate(opposites.items(), start=count):
        middle[a, b] = middle[b, a] = new
        end = 0.5 if len(across) == 1 else 0.375
        entries += [(new, a, end), (new, b, end)]
        if len(across) == 2:
            entries += [(new, c, 0.125) for c in across]
    rows, columns, values = zip(*entries)
    operator = sparse.csr_matrix((values, (rows, columns)), shape=(count + len(opposites), count))

    finer = []
    for a, b, c in faces.tolist():
        ab, bc, ca = middle[a, b], middle[b, c], middle[c, a]
        finer += [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
    return operator, np.array(finer)


class Decimator:
    """Decimation by half-edge collapses in order of the quadric error metric; the result is a subset of the vertices.

    No vertex is moved, so weights and all samples of the population are decimated by indexing.
    Source: M. Garland, P. Heckbert, "Surface simplification using quadric error metrics", 1997.

    Args:
        vertices: (V, 3) metres.
        faces: (T, 3), one open boundary allowed.
        importance: (V,) factor on the cost of removing a vertex.
        keep: vertices that must not be removed.
        length_weight: penalty on (edge length)^4, for regular triangles; same unit as area times squared distance.
    """

    MIN_NORMAL_COSINE = 0.35  # a collapse may rotate a triangle by at most 70 degrees
    MIN_ASPECT = 0.06  # minimum half area over squared longest edge of the resulting triangles

    def __init__(
        self, vertices: Array, faces: Faces, importance: Array, keep: set[int], length_weight: float = 1.5
    ) -> None:
        self.vertices, self.importance, self.keep, self.length_weight = vertices, importance, keep, length_weight
        count = len(vertices)
        self.faces = {i: list(f) for i, f in enumerate(faces.tolist())}
        self.incident: list[set[int]] = [set() for _ in range(count)]
        for i, face in self.faces.items():
            for v in face:
                self.incident[v].add(i)
        self.version = [0] * count
        self.alive = [True] * count
        self.on_boundary = np.zeros(count, dtype=bool)
        self.boundary_edges = 0
        self.quadrics = np.zeros((count, 4, 4))
        for face in self.faces.values():
            normal, half_area = self._normal(face)
            self._add_plane(face, normal, vertices[face[0]], half_area / 3)
        for (a, b), across in edge_opposites(faces).items():
            if len(across) == 1:
                self._guard_boundary(a, b, across[0])
        self.heap: list[tuple[float, int, int, int, int]] = []

    def run(self, target_vertices: int, target_boundary: int) -> tuple[NDArray[np.int64], Faces]:
        """Collapse to `target_vertices`, with `target_boundary` boundary edges.

        Returns:
            ids (target_vertices,) of the remaining vertices, ascending; faces (T', 3) as indices into them.
        """
        remaining = len(self.vertices)
        for v in range(remaining):
            self._push(v)
        while remaining > target_vertices and self.heap:
            _, removed, kept, removed_version, kept_version = heapq.heappop(self.heap)
            if not (self.alive[removed] and self.alive[kept]):
                continue
            if (self.version[removed], self.version[kept]) != (removed_version, kept_version):
                continue
            if self._may_collapse(removed, kept, target_boundary):
                self._collapse(removed, kept)
                remaining -= 1
        if remaining != target_vertices or self.boundary_edges != target_boundary:
            raise RuntimeError(f"decimation stopped at {remaining} vertices, {self.boundary_edges} boundary edges")
        ids = np.flatnonzero(self.alive)
        position = np.full(len(self.alive), -1)
        position[ids] = np.arange(len(ids))
        return ids, position[np.array(list(self.faces.values()))]

    def _normal(self, face: list[int]) -> tuple[Array, float]:
        a, b, c = self.vertices[face]
        normal = np.cross(b - a, c - a)
        length = float(np.linalg.norm(normal)) + 1e-15
        return normal / length, length / 2

    def _add_plane(self, at: list[int], normal: Array, point: Array, weight: float) -> None:
        plane = np.append(normal, -normal @ point)
        self.quadrics[at] += weight * np.outer(plane, plane)

    def _guard_boundary(self, a: int, b: int, across: int) -> None:
        """Preserve the boundary: a heavily weighted plane through the edge, perpendicular to its triangle."""
        self.on_boundary[[a, b]] = True
        self.boundary_edges += 1
        along = self.vertices[b] - self.vertices[a]
        upright = np.cross(along, self._normal([a, b, across])[0])
        self._add_plane([a, b], upright / np.linalg.norm(upright), self.vertices[a], 10 * float(along @ along))

    def _neighbours(self, v: int) -> set[int]:
        return {u for i in self.incident[v] for u in self.faces[i]} - {v}

    def _is_boundary_edge(self, a: int, b: int) -> bool:
        return len(self.incident[a] & self.incident[b]) == 1

    def _push(self, v: int) -> None:
        for u in sorted(self._neighbours(v)):
            for removed, kept in ((v, u), (u, v)):
                moves_along_boundary = self.on_boundary[kept] and self._is_boundary_edge(removed, kept)
                if removed in self.keep or (self.on_boundary[removed] and not moves_along_boundary):
                    continue
                point = np.append(self.vertices[kept], 1)
                squared = float(((self.vertices[removed] - self.vertices[kept]) ** 2).sum())
                error = point @ (self.quadrics[removed] + self.quadrics[kept]) @ point + self.length_weight * squared**2
                cost = float(error * self.importance[removed])
                heapq.heappush(self.heap, (cost, removed, kept, self.version[removed], self.version[kept]))

    def _may_collapse(self, removed: int, kept: int, target_boundary: int) -> bool:
        boundary_edge = self._is_boundary_edge(removed, kept)
        if self.on_boundary[removed] and (not boundary_edge or self.boundary_edges <= target_boundary):
            return False
        shared = self._neighbours(removed) & self._neighbours(kept)
        if len(shared) != (1 if boundary_edge else 2):  # link condition: the surface remains a manifold
            return False
        if any(not self.on_boundary[v] and len(self._neighbours(v)) <= 3 for v in shared):
            return False
        for i in self.incident[removed] - self.incident[kept]:
            before, _ = self._normal(self.faces[i])
            moved = [kept if v == removed else v for v in self.faces[i]]
            after, half_area = self._normal(moved)
            corners = self.vertices[moved]
            longest = max(float(((corners[k] - corners[k - 1]) ** 2).sum()) for k in range(3))
            if before @ after < self.MIN_NORMAL_COSINE or half_area / longest < self.MIN_ASPECT:
                return False
        return True

    def _collapse(self, removed: int, kept: int) -> None:
        if self._is_boundary_edge(removed, kept):
            self.boundary_edges -= 1
        for i in list(self.incident[removed]):
            if kept in self.faces[i]:
                for v in self.faces.pop(i):
                    self.incident[v].discard(i)
            else:
                self.faces[i] = [kept if v == removed else v for v in self.faces[i]]
                self.incident[kept].add(i)
        self.incident[removed] = set()
        self.alive[removed] = False
        self.quadrics[kept] += self.quadrics[removed]
        affected = self._neighbours(kept) | {kept}
        for v in affected:
            self.version[v] += 1
        for v in sorted(affected):
            self._push(v)
