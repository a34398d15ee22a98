r"""Triangles to pixels, in tensors alone: a scanline rasteriser with a z-buffer, the same on CPU and CUDA.

Every triangle is expanded into its rows and every row into its pixels (two ``repeat_interleave``), so nothing outside a
triangle is touched. A pixel belongs to a triangle if its centre (integer coordinates) lies inside or on an edge. The
crossing of a row with an edge is computed from the edge's ends in one fixed order, hence to the same number in both
triangles that share the edge: no pixel falls between them.

The z-buffer is one ``scatter_reduce(amin)`` of 64-bit keys: the bits of the depth (positive floats sort as integers)
above the triangle's number, so that equal depths have one winner everywhere.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

NEAR = 0.05
"""Triangles with a vertex nearer than this many metres are dropped."""

_EMPTY = torch.iinfo(torch.int64).max


class Fragments(NamedTuple):
    """The visible surface at every covered pixel, sparse: N covered pixels of B pictures, sorted by ``pixel``.

    Shapes:
        pixel: (N,) int64 index into a flattened (B, H, W); batch: (N,) int64 picture; face: (N,) int64;
        barycentric: (N, 3) perspective-correct weights of the face's vertices, in their order; depth: (N,) metres.
    """

    pixel: Tensor
    batch: Tensor
    face: Tensor
    barycentric: Tensor
    depth: Tensor

    def interpolate(self, attributes: Tensor, faces: Tensor) -> Tensor:
        """Vertex attributes (B, V, C) at the fragments, (N, C)."""
        batch_size, vertex_count, channels = attributes.shape
        corners = faces[self.face] + (self.batch * vertex_count)[:, None]  # (N, 3)
        table = attributes.reshape(batch_size * vertex_count, channels)
        return F.embedding_bag(corners, table, per_sample_weights=self.barycentric.to(table.dtype), mode="sum")

    def scatter(self, values: Tensor, canvas: Tensor) -> Tensor:
        """``canvas`` (B, H, W, *C) with the values (N, *C) of the covered pixels written into it, in place."""
        canvas.view(-1, *canvas.shape[3:])[self.pixel] = values
        return canvas


class _Setup(NamedTuple):
    """Triangles worth drawing, K of them; vertex 0 of each is the origin of its affine functions of the pixel."""

    number: Tensor  # (K,) index into a flattened (B, F)
    corners: Tensor  # (K, 3, 3) u, v, z
    origin: Tensor  # (K, 2)
    weight_1: Tensor  # (K, 2) gradient of the second vertex's screen-space weight
    weight_2: Tensor  # (K, 2)
    inverse_depth: Tensor  # (K, 3) 1 / z (z itself if orthographic)


def _setup(
    vertices: Tensor, faces: Tensor, height: int, width: int, face_mask: Tensor | None, cull: bool, perspective: bool
) -> _Setup:
    corners = vertices[:, faces].flatten(0, 1)  # (B F, 3, 3)
    u, v, z = corners.unbind(-1)
    area = (u[:, 1] - u[:, 0]) * (v[:, 2] - v[:, 0]) - (u[:, 2] - u[:, 0]) * (v[:, 1] - v[:, 0])
    # v points down, so the outside of an outward (counter-clockwise) triangle has a negative area on the screen
    keep = (area < -1e-9) if cull else (area.abs() > 1e-9)
    keep &= z.amin(1) >= NEAR
    # at least one row and one column of pixel centres inside the bounding box, and the box inside the picture
    u_low, u_high = u.amin(1).ceil().clamp_min(0), u.amax(1).floor().clamp_max(width - 1)
    v_low, v_high = v.amin(1).ceil().clamp_min(0), v.amax(1).floor().clamp_max(height - 1)
    keep &= (u_low <= u_high) & (v_low <= v_high)
    if face_mask is not None:
        keep &= face_mask.flatten()
    number = keep.nonzero()[:, 0]
    corners, area = corners[number], area[number]
    edge_1, edge_2 = corners[:, 1, :2] - corners[:, 0, :2], corners[:, 2, :2] - corners[:, 0, :2]
    scale = 1 / area
    depth = corners[..., 2]
    return _Setup(
        number,
        corners,
        corners[:, 0, :2],
        torch.stack([edge_2[:, 1] * scale, -edge_2[:, 0] * scale], 1),
        torch.stack([-edge_1[:, 1] * scale, edge_1[:, 0] * scale], 1),
        1 / depth if perspective else depth,
    )


def _arange_within(counts: Tensor, owner: Tensor) -> Tensor:
    """0, 1, ... counts[k] - 1 for every k in turn; ``owner`` = repeat_interleave(arange, counts)."""
    start = counts.cumsum(0) - counts
    return torch.arange(len(owner), device=owner.device) - start[owner]


def _order(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Two points (K, 2), the upper (then the left) one first."""
    swap = ((a[:, 1] > b[:, 1]) | ((a[:, 1] == b[:, 1]) & (a[:, 0] > b[:, 0])))[:, None]
    return torch.where(swap, b, a), torch.where(swap, a, b)


def _crossing(row: Tensor, start: Tensor, slope: Tensor) -> Tensor:
    return start[:, 0] + (row - start[:, 1]) * slope


def _slope(start: Tensor, end: Tensor) -> Tensor:
    rise = end[:, 1] - start[:, 1]
    return torch.where(rise > 0, (end[:, 0] - start[:, 0]) / rise.clamp_min(1e-20), torch.zeros_like(rise))


def _spans(setup: _Setup, height: int, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows of the triangles: (triangle, row, first column, number of columns), each (R,)."""
    top, middle = _order(setup.corners[:, 0, :2], setup.corners[:, 1, :2])
    middle, bottom = _order(middle, setup.corners[:, 2, :2])
    top, middle = _order(top, middle)
    first = top[:, 1].ceil().clamp_min(0)
    rows = (bottom[:, 1].floor().clamp_max(height - 1) - first + 1).clamp_min(0).long()
    triangle = torch.repeat_interleave(rows)
    row = first[triangle] + _arange_within(rows, triangle)
    long = torch.cat([top, _slope(top, bottom)[:, None]], 1)
    upper = torch.cat([top, _slope(top, middle)[:, None]], 1)
    lower = torch.cat([middle, _slope(middle, bottom)[:, None]], 1)
    edge_a, edge_b = long[triangle], torch.where((row < middle[triangle, 1])[:, None], upper[triangle], lower[triangle])
    a, b = (_crossing(row, edge[:, :2], edge[:, 2]) for edge in (edge_a, edge_b))
    left = torch.minimum(a, b).ceil().clamp(0, width)
    count = (torch.maximum(a, b).floor().clamp(-1, width - 1) - left + 1).clamp_min(0).long()
    return triangle, row, left, count


def _z_buffer(
    vertices: Tensor,
    faces: Tensor,
    height: int,
    width: int,
    face_mask: Tensor | None,
    cull: bool,
    perspective: bool,
) -> tuple[Tensor, _Setup]:
    """Keys (B H W,): bits of the nearest depth << 32 | index into the setup; _EMPTY where nothing is."""
    setup = _setup(vertices, faces, height, width, face_mask, cull, perspective)
    triangle, row, left, count = _spans(setup, height, width)
    q = setup.inverse_depth
    gradient = (q[:, 1] - q[:, 0])[:, None] * setup.weight_1 + (q[:, 2] - q[:, 0])[:, None] * setup.weight_2  # (K, 2)
    offset = torch.stack([left, row], 1) - setup.origin[triangle]
    row_q = q[triangle, 0] + (offset * gradient[triangle]).sum(1)  # value at the first column

    span = torch.repeat_interleave(count)
    step = _arange_within(count, span)
    base = (setup.number // len(faces))[triangle] * (height * width) + row.long() * width + left.long()
    owner = triangle[span]
    value = row_q[span] + step * gradient[:, 0][owner]
    value = torch.minimum(torch.maximum(value, q.amin(1)[owner]), q.amax(1)[owner])  # slivers must not extrapolate
    depth = 1 / value if perspective else value
    key = (depth.to(torch.float32).view(torch.int32).long() << 32) | owner
    keys = torch.full((len(vertices) * height * width,), _EMPTY, dtype=torch.int64, device=vertices.device)
    return keys.scatter_reduce_(0, base[span] + step, key, "amin"), setup


def rasterize(
    vertices: Tensor,
    faces: Tensor,
    height: int,
    width: int,
    face_mask: Tensor | None = None,
    cull: bool = False,
) -> Fragments:
    """The nearest triangle at every pixel of B pictures.

    Args:
        vertices: (u, v) pixels and depth in metres. Triangles nearer than ``NEAR`` are dropped.
        face_mask: which faces each picture has; None: all.
        cull: leave out triangles seen from behind: half the work, and the same picture of closed surfaces.

    Shapes:
        vertices: (B, V, 3) float32; faces: (F, 3) int64; face_mask: (B, F) bool.
    """
    keys, setup = _z_buffer(vertices, faces, height, width, face_mask, cull, perspective=True)
    pixel = (keys != _EMPTY).nonzero()[:, 0]
    triangle = keys[pixel] & 0xFFFFFFFF
    batch = pixel // (height * width)
    place = pixel - batch * (height * width)
    row = place // width
    offset = torch.stack([place - row * width, row], 1) - setup.origin[triangle]
    w1 = (offset * setup.weight_1[triangle]).sum(1)
    w2 = (offset * setup.weight_2[triangle]).sum(1)
    weights = torch.stack([1 - w1 - w2, w1, w2], 1).clamp_min(0) * setup.inverse_depth[triangle]
    total = weights.sum(1)
    screen = torch.stack([1 - w1 - w2, w1, w2], 1).clamp_min(0).sum(1)
    return Fragments(pixel, batch, setup.number[triangle] % len(faces), weights / total[:, None], screen / total)


def depth_map(vertices: Tensor, faces: Tensor, height: int, width: int, face_mask: Tensor | None = None) -> Tensor:
    """Orthographic depth of the nearest triangle, infinity where there is none: what a distant light sees.

    Shapes: as :func:`rasterize` with depth linear over a triangle; returns (B, height, width) metres.
    """
    keys, _ = _z_buffer(vertices, faces, height, width, face_mask, cull=True, perspective=False)
    depth = (keys >> 32).to(torch.int32).view(torch.float32)
    depth = torch.where(keys == _EMPTY, torch.full_like(depth, torch.inf), depth)
    return depth.view(len(vertices), height, width)
