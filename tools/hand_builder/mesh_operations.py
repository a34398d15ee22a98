"""Triangle-mesh operations of the builder: boundary loops, Loop subdivision, decimation to a subset of the vertices."""

from __future__ import annotations

import heapq
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Array = NDArray[np.float64]
Faces = NDArray[np.int64]


def edge_opposites(faces: Faces) -> dict[tuple[int, int], list[int]]:
    """Undirected edges (low, high) with the vertex opposite to each in every triangle that has it (one: a boundary)."""
    opposites: dict[tuple[int, int], list[int]] = defaultdict(list)
    for a, b, c in faces.tolist():
        for x, y, z in ((a, b, c), (b, c, a), (c, a, b)):
            opposites[min(x, y), max(x, y)].append(z)
    return opposites


def boundary_loop(faces: Faces, start: NDArray[np.float64]) -> list[int]:
    """Vertices of the single open boundary in half-edge order, from the one with the least `start` value."""
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
    """One step of Loop subdivision as a linear operator, so that it serves vertices of all samples and weights alike.

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
    """Half-edge collapses in the order of the quadric error metric; the vertices that stay are a subset of the input.

    A subset, not new positions, so that weights and every sample of the population carry over by indexing.
    Source: M. Garland, P. Heckbert, "Surface simplification using quadric error metrics", 1997.

    Args:
        vertices: (V, 3) metres.
        faces: (T, 3), one open boundary allowed.
        importance: (V,) factor on the cost of removing a vertex.
        keep: vertices that must stay.
        length_weight: penalty on (edge length)^4, for even triangles; same unit as area times squared distance.
    """

    MIN_NORMAL_COSINE = 0.35  # a collapse may turn a triangle by at most 70 degrees
    MIN_ASPECT = 0.06  # least half-area over squared longest edge of a triangle it may leave

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
            ids (target_vertices,) of the vertices that stay, ascending; faces (T', 3) in their numbering.
        """
        remaining = len(self.vertices)
        for v in range(remaining):
            self._push(v)
        while remaining > target_vertices and self.heap:
            _, gone, stays, gone_version, stays_version = heapq.heappop(self.heap)
            if not (self.alive[gone] and self.alive[stays]):
                continue
            if (self.version[gone], self.version[stays]) != (gone_version, stays_version):
                continue
            if self._may_collapse(gone, stays, target_boundary):
                self._collapse(gone, stays)
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
        """Keep the wrist's outline: a heavy plane through the boundary edge, upright on its triangle."""
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
            for gone, stays in ((v, u), (u, v)):
                slides_along = self.on_boundary[stays] and self._is_boundary_edge(gone, stays)
                if gone in self.keep or (self.on_boundary[gone] and not slides_along):
                    continue
                point = np.append(self.vertices[stays], 1)
                squared = float(((self.vertices[gone] - self.vertices[stays]) ** 2).sum())
                error = point @ (self.quadrics[gone] + self.quadrics[stays]) @ point + self.length_weight * squared**2
                cost = float(error * self.importance[gone])
                heapq.heappush(self.heap, (cost, gone, stays, self.version[gone], self.version[stays]))

    def _may_collapse(self, gone: int, stays: int, target_boundary: int) -> bool:
        boundary_edge = self._is_boundary_edge(gone, stays)
        if self.on_boundary[gone] and (not boundary_edge or self.boundary_edges <= target_boundary):
            return False
        shared = self._neighbours(gone) & self._neighbours(stays)
        if len(shared) != (1 if boundary_edge else 2):  # the link condition: the surface stays a manifold
            return False
        if any(not self.on_boundary[v] and len(self._neighbours(v)) <= 3 for v in shared):
            return False
        for i in self.incident[gone] - self.incident[stays]:
            before, _ = self._normal(self.faces[i])
            moved = [stays if v == gone else v for v in self.faces[i]]
            after, half_area = self._normal(moved)
            corners = self.vertices[moved]
            longest = max(float(((corners[k] - corners[k - 1]) ** 2).sum()) for k in range(3))
            if before @ after < self.MIN_NORMAL_COSINE or half_area / longest < self.MIN_ASPECT:
                return False
        return True

    def _collapse(self, gone: int, stays: int) -> None:
        if self._is_boundary_edge(gone, stays):
            self.boundary_edges -= 1
        for i in list(self.incident[gone]):
            if stays in self.faces[i]:
                for v in self.faces.pop(i):
                    self.incident[v].discard(i)
            else:
                self.faces[i] = [stays if v == gone else v for v in self.faces[i]]
                self.incident[stays].add(i)
        self.incident[gone] = set()
        self.alive[gone] = False
        self.quadrics[stays] += self.quadrics[gone]
        affected = self._neighbours(stays) | {stays}
        for v in affected:
            self.version[v] += 1
        for v in sorted(affected):
            self._push(v)
