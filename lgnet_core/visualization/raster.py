r"""Triangle rasterisation in pure PyTorch: a scanline rasteriser with a z-buffer, for CPU and CUDA.

Every triangle is expanded into its rows and every row into its pixels (two ``repeat_interleave``), so no pixel outside
a triangle is visited. A pixel belongs to a triangle if its centre (integer coordinates) lies inside or on an edge. The
intersection of a row with an edge is computed from the edge's endpoints in a fixed order, hence to the same value in
both triangles that share the edge, which leaves no gaps between them.

The z-buffer is one ``scatter_reduce(amin)`` of 64-bit keys: the bits of the depth (positive floats sort like integers)
above the triangle's index, so that ties in depth are resolved deterministically.

Vectors are stored channels first, (C, N): gathers and sums of long rows are several times faster than of short ones.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

NEAR_PLANE = 0.05
"""Metres: triangles with a nearer vertex are dropped."""

_MIN_DOUBLE_AREA = 1e-9
"""Square pixels: smaller triangles are degenerate."""

_EMPTY = torch.iinfo(torch.int64).max
"""Z-buffer key of an uncovered pixel."""


class Fragments(NamedTuple):
    """The visible surface at the N covered pixels of B images, sorted by ``pixel``.

    Shapes:
        pixel: (N,) int64 index into a flattened (B, H, W); batch: (N,) int64 index of the image; face: (N,) int64;
        barycentric: (3, N) perspective-correct weights of the face's vertices; depth: (N,) metres.
    """

    pixel: Tensor
    batch: Tensor
    face: Tensor
    barycentric: Tensor
    depth: Tensor

    def interpolate(self, attributes: Tensor, faces: Tensor) -> Tensor:
        """Interpolate vertex attributes (C, B, V) at the fragments, (C, N)."""
        table = attributes.flatten(1)
        offset = self.batch * attributes.shape[2]
        corners = (table.index_select(1, faces[:, k].index_select(0, self.face) + offset) for k in range(3))
        first, second, third = (corner.mul_(self.barycentric[k]) for k, corner in enumerate(corners))
        return first.add_(second).add_(third)

    def scatter(self, values: Tensor, canvas: Tensor) -> Tensor:
        """:func:`scatter` to the covered pixels."""
        return scatter(self.pixel, self.batch, values, canvas)


def scatter(pixel: Tensor, batch: Tensor, values: Tensor, canvas: Tensor) -> Tensor:
    """Write values (C, N) or (N,) to N pixels of ``canvas`` (B, C, H, W) or (B, H, W), in place.

    Shapes:
        pixel: (N,) int64 index into a flattened (B, H, W); batch: (N,) int64 index of the image.
    """
    if canvas.dim() == 3:
        canvas.view(-1)[pixel] = values
        return canvas
    _, channels, height, width = canvas.shape
    first = pixel + batch * ((channels - 1) * height * width)
    for channel in range(channels):
        canvas.view(-1)[first + channel * height * width] = values[channel]
    return canvas


class _Triangles(NamedTuple):
    """The K potentially visible triangles; affine functions of the pixel are relative to vertex 0.

    Shapes:
        batch, face: (K,); u, v, q: (3, K) pixels and 1 / depth (the depth itself if orthographic) of the vertices;
        weights: (4, K) gradients (d/du, d/dv) of the screen-space barycentric weights of vertices 1 and 2.
    """

    batch: Tensor
    face: Tensor
    u: Tensor
    v: Tensor
    q: Tensor
    weights: Tensor


def _setup_triangles(
    vertices: Tensor, faces: Tensor, height: int, width: int, face_mask: Tensor | None, cull: bool, perspective: bool
) -> _Triangles:
    """Drop degenerate, culled, masked, near and off-screen triangles, and compute the gradients of the others."""
    planes = vertices.permute(2, 0, 1).contiguous()  # (3, B, V)
    u, v, z = torch.stack([planes.index_select(2, faces[:, k]) for k in range(3)], 1).flatten(2)  # (3, B F) each
    area = (u[1] - u[0]) * (v[2] - v[0]) - (u[2] - u[0]) * (v[1] - v[0])
    # v points down, so a front face (counter-clockwise seen from outside) has a negative area on the screen.
    keep = (area < -_MIN_DOUBLE_AREA) if cull else (area.abs() > _MIN_DOUBLE_AREA)
    keep &= z.amin(0) >= NEAR_PLANE
    # The bounding box must contain at least one row and one column of pixel centres of the image.
    for coordinate, size in ((u, width), (v, height)):
        keep &= coordinate.amin(0).ceil().clamp_min(0) <= coordinate.amax(0).floor().clamp_max(size - 1)
    if face_mask is not None:
        keep &= face_mask.flatten()
    index = keep.nonzero()[:, 0]
    u, v, z = (t.index_select(1, index) for t in (u, v, z))
    scale = 1 / area.index_select(0, index)
    weights = torch.stack([v[2] - v[0], u[0] - u[2], v[0] - v[1], u[1] - u[0]]) * scale
    batch = index // len(faces)
    return _Triangles(batch, index - batch * len(faces), u, v, 1 / z if perspective else z, weights)


def _exclusive_cumsum(counts: Tensor) -> Tensor:
    return counts.cumsum(0) - counts


def _upper_first(au: Tensor, av: Tensor, bu: Tensor, bv: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Order two points per triangle: the upper one first, of equal height the left one."""
    swap = (av > bv) | ((av == bv) & (au > bu))
    return torch.where(swap, bu, au), torch.where(swap, bv, av), torch.where(swap, au, bu), torch.where(swap, av, bv)


def _edge(u0: Tensor, v0: Tensor, u1: Tensor, v1: Tensor) -> Tensor:
    """(3, K) start point and slope du/dv of an edge that runs downwards; slope 0 if it is horizontal."""
    height = v1 - v0
    return torch.stack([u0, v0, torch.where(height > 0, (u1 - u0) / height.clamp_min(1e-20), 0.0)])


def _intersect(edge: Tensor, row: Tensor) -> Tensor:
    """Column at which edges (3, K) cross rows (K,)."""
    return edge[0] + (row - edge[1]) * edge[2]


def _spans(triangles: _Triangles, height: int, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Expand triangles into R rows: triangle, row (float), first column (float), number of columns; each (R,)."""
    u, v = triangles.u, triangles.v
    u0, v0, u1, v1 = _upper_first(u[0], v[0], u[1], v[1])
    u1, v1, u2, v2 = _upper_first(u1, v1, u[2], v[2])
    u0, v0, u1, v1 = _upper_first(u0, v0, u1, v1)
    top = v0.ceil().clamp_min(0)
    rows = (v2.floor().clamp_max(height - 1) - top + 1).clamp_min(0).long()
    triangle = torch.repeat_interleave(rows)
    table = torch.cat([_edge(u0, v0, u2, v2), torch.stack([v1, top - _exclusive_cumsum(rows)])]).index_select(
        1, triangle
    )
    row = torch.arange(len(triangle), device=u.device) + table[4]
    short_edges = torch.cat([_edge(u0, v0, u1, v1), _edge(u1, v1, u2, v2)], 1)
    short_edge = short_edges.index_select(1, triangle + (row >= table[3]) * len(rows))
    a, b = _intersect(table, row), _intersect(short_edge, row)
    left = torch.minimum(a, b).ceil().clamp(0, width)
    count = (torch.maximum(a, b).floor().clamp(-1, width - 1) - left + 1).clamp_min(0).long()
    return triangle, row, left, count


def _z_buffer(triangles: _Triangles, batch_size: int, height: int, width: int, perspective: bool) -> Tensor:
    """Keys (B H W,): bits of the nearest depth << 32 | triangle; ``_EMPTY`` where no triangle is."""
    triangle, row, left, count = _spans(triangles, height, width)
    q, w = triangles.q, triangles.weights
    q_u, q_v = (q[1] - q[0]) * w[:2] + (q[2] - q[0]) * w[2:]
    table = torch.stack([q[0], q_u, q_v, triangles.u[0], triangles.v[0], q.amin(0), q.amax(0)])
    q_0, q_u, q_v, u_0, v_0, low, high = table.index_select(1, triangle)
    first = q_0 + q_u * (left - u_0) + q_v * (row - v_0)  # q at the first column of each row

    span = torch.repeat_interleave(count)
    owner = triangle.index_select(0, span)
    start = _exclusive_cumsum(count)
    base = triangles.batch.index_select(0, triangle) * (height * width) + row.long() * width + left.long()
    position = torch.arange(len(span), device=span.device)
    step, pixel = torch.stack([-start, base - start]).index_select(1, span).add_(position)
    first, slope, low, high = torch.stack([first, q_u, low, high]).index_select(1, span)
    value = torch.minimum(torch.maximum(first + slope * step, low), high)  # no extrapolation in slivers
    depth = 1 / value if perspective else value
    key = (depth.to(torch.float32).view(torch.int32).long() << 32) | owner
    keys = torch.full((batch_size * height * width,), _EMPTY, dtype=torch.int64, device=span.device)
    return keys.scatter_reduce_(0, pixel, key, "amin")


def rasterize(
    vertices: Tensor,
    faces: Tensor,
    height: int,
    width: int,
    face_mask: Tensor | None = None,
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
    pixel = (keys != _EMPTY).nonzero()[:, 0]
    triangle = keys.index_select(0, pixel) & 0xFFFFFFFF
    batch, face = torch.stack([triangles.batch, triangles.face]).index_select(1, triangle)
    position = pixel - batch * (height * width)
    row = position // width
    table = torch.cat([triangles.u[:1], triangles.v[:1], triangles.weights, triangles.q]).index_select(1, triangle)
    u, v = position - row * width - table[0], row - table[1]
    w_1, w_2 = table[2] * u + table[3] * v, table[4] * u + table[5] * v
    screen = torch.stack([1 - w_1 - w_2, w_1, w_2]).clamp_min_(0)  # slightly negative by rounding
    weighted = screen * table[6:]
    total = weighted.sum(0)
    return Fragments(pixel, batch, face, weighted / total, screen.sum(0) / total)


def depth_map(vertices: Tensor, faces: Tensor, height: int, width: int, face_mask: Tensor | None = None) -> Tensor:
    """Orthographic depth map, infinite where no triangle is: the shadow map of a directional light.

    Back faces are culled.

    Shapes: as :func:`rasterize`, with depth linear over a triangle; returns (B, height, width) metres.
    """
    triangles = _setup_triangles(vertices, faces, height, width, face_mask, cull=True, perspective=False)
    keys = _z_buffer(triangles, len(vertices), height, width, perspective=False)
    depth = (keys >> 32).to(torch.int32).view(torch.float32)
    return torch.where(keys == _EMPTY, torch.inf, depth).view(len(vertices), height, width)
