r"""Triangle rasterisation over the array API: a scanline rasteriser with a z-buffer, for numpy and torch on any device.

Every triangle is expanded into its rows and every row into its pixels (two repetitions), so no pixel outside a triangle
is visited. A pixel belongs to a triangle if its centre (integer coordinates) lies inside or on an edge. The
intersection of a row with an edge is computed from the edge's endpoints in a fixed order, hence to the same value in
both triangles that share the edge, which leaves no gaps between them.

The z-buffer is one minimum per pixel of 64-bit keys: the bits of the depth (positive floats sort like integers) above
the triangle's index, so that ties in depth are resolved deterministically.

Vectors are stored channels first, (C, N): gathers and sums of long rows are several times faster than of short ones.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from array_api_compat import array_namespace, device, is_numpy_array

from lgnet_core.types import Array

NEAR_PLANE = 0.05
"""Metres: triangles with a nearer vertex are dropped."""

_MIN_DOUBLE_AREA = 1e-9
"""Square pixels: smaller triangles are degenerate."""

_EMPTY = 2**63 - 1
"""Z-buffer key of an uncovered pixel."""


class Fragments(NamedTuple):
    """The visible surface at the N covered pixels of B images, sorted by ``pixel``.

    Shapes:
        pixel: (N,) int64 index into a flattened (B, H, W); batch: (N,) int64 index of the image; face: (N,) int64;
        barycentric: (3, N) perspective-correct weights of the face's vertices; depth: (N,) metres.
    """

    pixel: Array
    batch: Array
    face: Array
    barycentric: Array
    depth: Array

    def interpolate(self, attributes: Array, faces: Array) -> Array:
        """Interpolate vertex attributes (C, B, V) at the fragments, (C, N)."""
        xp = array_namespace(attributes, faces)
        table = attributes.reshape(len(attributes), -1)
        offset = self.batch * attributes.shape[2]
        total = xp.take(table, xp.take(faces[:, 0], self.face, axis=0) + offset, axis=1)
        total *= self.barycentric[0]
        for k in (1, 2):
            corner = xp.take(table, xp.take(faces[:, k], self.face, axis=0) + offset, axis=1)
            corner *= self.barycentric[k]
            total += corner
        return total

    def scatter(self, values: Array, canvas: Array) -> Array:
        """:func:`scatter` to the covered pixels."""
        return scatter(self.pixel, self.batch, values, canvas)


def scatter(pixel: Array, batch: Array, values: Array, canvas: Array) -> Array:
    """Write values (C, N) or (N,) to N pixels of ``canvas`` (B, C, H, W) or (B, H, W), in place.

    Shapes:
        pixel: (N,) int64 index into a flattened (B, H, W); batch: (N,) int64 index of the image.
    """
    flat = canvas.reshape(-1)
    if canvas.ndim == 3:
        flat[pixel] = values
        return canvas
    _, channels, height, width = canvas.shape
    first = pixel + batch * ((channels - 1) * height * width)
    for channel in range(channels):
        flat[first + channel * height * width] = values[channel]
    return canvas


class _Triangles(NamedTuple):
    """The K potentially visible triangles; affine functions of the pixel are relative to vertex 0.

    Shapes:
        batch, face: (K,); u, v, q: (3, K) pixels and 1 / depth (the depth itself if orthographic) of the vertices;
        weights: (4, K) gradients (d/du, d/dv) of the screen-space barycentric weights of vertices 1 and 2.
    """

    batch: Array
    face: Array
    u: Array
    v: Array
    q: Array
    weights: Array


def _setup_triangles(
    vertices: Array, faces: Array, height: int, width: int, face_mask: Array | None, cull: bool, perspective: bool
) -> _Triangles:
    """Drop degenerate, culled, masked, near and off-screen triangles, and compute the gradients of the others."""
    xp = array_namespace(vertices, faces)
    planes = xp.stack([vertices[..., k] for k in range(3)])  # (3, B, V)
    u, v, z = xp.stack([xp.take(planes, faces[:, k], axis=2) for k in range(3)], axis=1).reshape(3, 3, -1)  # (3, B F)
    area = (u[1] - u[0]) * (v[2] - v[0]) - (u[2] - u[0]) * (v[1] - v[0])
    # v points down, so a front face (counter-clockwise seen from outside) has a negative area on the screen.
    keep = (area < -_MIN_DOUBLE_AREA) if cull else (xp.abs(area) > _MIN_DOUBLE_AREA)
    keep &= xp.min(z, axis=0) >= NEAR_PLANE
    # The bounding box must contain at least one row and one column of pixel centres of the image.
    for coordinate, size in ((u, width), (v, height)):
        first = xp.ceil(xp.min(coordinate, axis=0)).clip(0)
        keep &= first <= xp.floor(xp.max(coordinate, axis=0)).clip(max=size - 1)
    if face_mask is not None:
        keep &= face_mask.reshape(-1)
    (index,) = xp.nonzero(keep)
    u, v, z = (xp.take(t, index, axis=1) for t in (u, v, z))
    scale = 1 / xp.take(area, index, axis=0)
    weights = xp.stack([v[2] - v[0], u[0] - u[2], v[0] - v[1], u[1] - u[0]]) * scale
    batch = index // len(faces)
    return _Triangles(batch, index - batch * len(faces), u, v, 1 / z if perspective else z, weights)


def _repeat_indices(counts: Array) -> Array:
    """Index i repeated ``counts[i]`` times. Shapes: (N,) int64 -> (sum,) int64."""
    xp = array_namespace(counts)
    return xp.repeat(xp.arange(len(counts), dtype=xp.int64, device=device(counts)), counts)


def _scatter_minimum(target: Array, index: Array, values: Array) -> Array:
    """``target[index] = min(target[index], values)`` in place, for repeated indices too: not part of the array API."""
    if is_numpy_array(target):
        np.minimum.at(target, index, values)
        return target
    return target.scatter_reduce_(0, index, values, "amin")


def _exclusive_cumsum(counts: Array) -> Array:
    return array_namespace(counts).cumulative_sum(counts) - counts


def _upper_first(au: Array, av: Array, bu: Array, bv: Array) -> tuple[Array, Array, Array, Array]:
    """Order two points per triangle: the upper one first, of equal height the left one."""
    xp = array_namespace(au)
    swap = (av > bv) | ((av == bv) & (au > bu))
    return xp.where(swap, bu, au), xp.where(swap, bv, av), xp.where(swap, au, bu), xp.where(swap, av, bv)


def _edge(u0: Array, v0: Array, u1: Array, v1: Array) -> Array:
    """(3, K) start point and slope du/dv of an edge that runs downwards; slope 0 if it is horizontal."""
    xp = array_namespace(u0)
    height = v1 - v0
    slope = (u1 - u0) / height.clip(1e-20)
    return xp.stack([u0, v0, xp.where(height > 0, slope, xp.zeros_like(slope))])


def _intersect(edge: Array, row: Array) -> Array:
    """Column at which edges (3, K) cross rows (K,)."""
    return edge[0] + (row - edge[1]) * edge[2]


def _spans(triangles: _Triangles, height: int, width: int) -> tuple[Array, Array, Array, Array]:
    """Expand triangles into R rows: triangle, row (float), first column (float), number of columns; each (R,)."""
    xp = array_namespace(triangles.u)
    u, v = triangles.u, triangles.v
    u0, v0, u1, v1 = _upper_first(u[0], v[0], u[1], v[1])
    u1, v1, u2, v2 = _upper_first(u1, v1, u[2], v[2])
    u0, v0, u1, v1 = _upper_first(u0, v0, u1, v1)
    top = xp.ceil(v0).clip(0)
    rows = xp.astype((xp.floor(v2).clip(max=height - 1) - top + 1).clip(0), xp.int64)
    triangle = _repeat_indices(rows)
    start = xp.astype(_exclusive_cumsum(rows), u.dtype)
    table = xp.take(xp.concat([_edge(u0, v0, u2, v2), xp.stack([v1, top - start])]), triangle, axis=1)
    row = xp.arange(len(triangle), dtype=u.dtype, device=device(u)) + table[4]
    short_edges = xp.concat([_edge(u0, v0, u1, v1), _edge(u1, v1, u2, v2)], axis=1)
    short_edge = xp.take(short_edges, triangle + xp.astype(row >= table[3], xp.int64) * len(rows), axis=1)
    a, b = _intersect(table, row), _intersect(short_edge, row)
    left = xp.ceil(xp.minimum(a, b)).clip(0, width)
    last = xp.floor(xp.maximum(a, b)).clip(-1, width - 1)
    return triangle, row, left, xp.astype((last - left + 1).clip(0), xp.int64)


def _z_buffer(triangles: _Triangles, batch_size: int, height: int, width: int, perspective: bool) -> Array:
    """Keys (B H W,): bits of the nearest depth << 32 | triangle; ``_EMPTY`` where no triangle is."""
    xp = array_namespace(triangles.u)
    triangle, row, left, count = _spans(triangles, height, width)
    q, w = triangles.q, triangles.weights
    q_u, q_v = (q[1] - q[0]) * w[:2] + (q[2] - q[0]) * w[2:]
    extremes = xp.min(q, axis=0), xp.max(q, axis=0)
    table = xp.stack([q[0], q_u, q_v, triangles.u[0], triangles.v[0], *extremes])
    q_0, q_u, q_v, u_0, v_0, low, high = xp.take(table, triangle, axis=1)
    first = q_0 + q_u * (left - u_0) + q_v * (row - v_0)  # q at the first column of each row

    span = _repeat_indices(count)
    owner = xp.take(triangle, span, axis=0)
    start = _exclusive_cumsum(count)
    row, column = xp.astype(row, xp.int64), xp.astype(left, xp.int64)
    base = xp.take(triangles.batch, triangle, axis=0) * (height * width) + row * width + column
    table = xp.take(xp.stack([-start, base - start]), span, axis=1)
    table += xp.arange(len(span), dtype=xp.int64, device=device(span))
    step, pixel = table
    first, slope, low, high = xp.take(xp.stack([first, q_u, low, high]), span, axis=1)
    value = xp.minimum(xp.maximum(first + slope * xp.astype(step, slope.dtype), low), high)  # slivers: no extrapolation
    depth = 1 / value if perspective else value
    key = (xp.astype(xp.astype(depth, xp.float32).view(xp.int32), xp.int64) << 32) | owner
    keys = xp.full((batch_size * height * width,), _EMPTY, dtype=xp.int64, device=device(span))
    return _scatter_minimum(keys, pixel, key)


def rasterize(
    vertices: Array,
    faces: Array,
    height: int,
    width: int,
    face_mask: Array | None = None,
    cull: bool = False,
) -> Fragments:
    """Rasterise B images: the nearest triangle at every pixel.

    Args:
        vertices: (u, v) pixels and depth in metres. Triangles nearer than :data:`NEAR_PLANE` are dropped.
        face_mask: faces to draw in each image; None: all.
        cull: drop back faces, which halves the work and does not change the image of closed surfaces.

    Shapes:
        vertices: (B, V, 3) float32; faces: (F, 3) int64; face_mask: (B, F) bool.
    """
    triangles = _setup_triangles(vertices, faces, height, width, face_mask, cull, perspective=True)
    keys = _z_buffer(triangles, len(vertices), height, width, perspective=True)
    xp = array_namespace(keys)
    (pixel,) = xp.nonzero(keys != _EMPTY)
    triangle = xp.take(keys, pixel, axis=0) & 0xFFFFFFFF
    batch, face = xp.take(xp.stack([triangles.batch, triangles.face]), triangle, axis=1)
    position = pixel - batch * (height * width)
    row = position // width
    table = xp.concat([triangles.u[:1], triangles.v[:1], triangles.weights, triangles.q])
    table = xp.take(table, triangle, axis=1)
    column = xp.astype(position - row * width, table.dtype)
    u, v = column - table[0], xp.astype(row, table.dtype) - table[1]
    w_1, w_2 = table[2] * u + table[3] * v, table[4] * u + table[5] * v
    screen = xp.stack([1 - w_1 - w_2, w_1, w_2]).clip(0)  # slightly negative by rounding
    weighted = screen * table[6:]
    total = weighted.sum(0)
    return Fragments(pixel, batch, face, weighted / total, screen.sum(0) / total)


def depth_map(vertices: Array, faces: Array, height: int, width: int, face_mask: Array | None = None) -> Array:
    """Orthographic depth map, infinite where no triangle is: the shadow map of a directional light.

    Back faces are culled.

    Shapes: as :func:`rasterize`, with depth linear over a triangle; returns (B, height, width) metres.
    """
    triangles = _setup_triangles(vertices, faces, height, width, face_mask, cull=True, perspective=False)
    keys = _z_buffer(triangles, len(vertices), height, width, perspective=False)
    xp = array_namespace(keys)
    depth = xp.astype(keys >> 32, xp.int32).view(xp.float32)
    depth[keys == _EMPTY] = xp.inf
    return depth.reshape(len(vertices), height, width)
