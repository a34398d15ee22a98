"""Ray casting of boxes, cylinders and ellipsoids.

The ray of a pixel intersects a convex solid in one depth interval: the intersection of its slabs and its quadric. In
the frame of the unit solid (|x|, |y|, |z| <= 1 for a box, x^2 + y^2 <= 1 and |z| <= 1 for a cylinder,
x^2 + y^2 + z^2 <= 1 for an ellipsoid) both have a closed form. Results are the same on CPU and CUDA.

Source: Kay and Kajiya, "Ray tracing complex scenes", SIGGRAPH 1986 (slabs).
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import torch
from torch import Tensor

NEAR = 0.05
"""Near plane, metres: solids whose surface is nearer are not rendered."""


class Primitive(IntEnum):
    """Type of a solid; the third axis of a cylinder is its axis of revolution."""

    BOX = 0
    CYLINDER = 1
    ELLIPSOID = 2


class Solids(NamedTuple):
    """K solids in each of B images, camera frame, metres.

    Shapes:
        primitive: (B, K) :class:`Primitive`; present: (B, K) bool; centre: (B, K, 3); axes: (B, K, 3, 3) as columns;
        half_extents: (B, K, 3) half of the size along each axis.
    """

    primitive: Tensor
    present: Tensor
    centre: Tensor
    axes: Tensor
    half_extents: Tensor

    def rotated(self, rotation: Tensor) -> Solids:
        """Solids in a frame rotated by ``rotation`` (B, 3, 3)."""
        centre = (rotation[:, None] @ self.centre[..., None])[..., 0]
        return self._replace(centre=centre, axes=rotation[:, None] @ self.axes)

    @classmethod
    def concatenate(cls, *solids: Solids) -> Solids:
        """Concatenate the solids of each image."""
        return cls(*(torch.cat(parts, 1) for parts in zip(*solids, strict=True)))


class Hits(NamedTuple):
    """Nearest ray intersections at the N pixels covered by a solid, in ascending order of ``pixel``.

    Shapes:
        pixel: (N,) int64 index into a flattened (B, H, W); batch: (N,) int64 image; solid: (N,) int64, 0 to K - 1;
        depth: (N,) metres; position, normal: (3, N) camera frame; local: (3, N) position on the unit solid;
        local_normal: (3, N) normal in the axes of the solid.
    """

    pixel: Tensor
    batch: Tensor
    solid: Tensor
    depth: Tensor
    position: Tensor
    normal: Tensor
    local: Tensor
    local_normal: Tensor

    def select(self, mask: Tensor) -> Hits:
        """Hits for which ``mask`` (N,) is true."""
        return Hits(*(values[..., mask] for values in self))


def cast_rays(solids: Solids, intrinsics: Tensor, height: int, width: int) -> Hits:
    """Cast the rays of all pixels.

    Args:
        intrinsics: (B, 3, 3) of the images, pixels. height, width: image size, pixels.
    """
    count, device = len(intrinsics), intrinsics.device
    to_unit = solids.axes.transpose(-1, -2) / solids.half_extents[..., None]  # (B, K, 3, 3) camera frame -> unit solid
    origin = -(to_unit @ solids.centre[..., None])[..., 0]  # (B, K, 3) camera centre
    rays = to_unit @ torch.linalg.inv(intrinsics)[:, None]  # of (u, v, 1): the ray parameter is the depth
    u = torch.arange(width, device=device, dtype=intrinsics.dtype)
    v = torch.arange(height, device=device, dtype=intrinsics.dtype)[:, None]
    nearest = torch.full((count, height, width), torch.inf, device=device)
    owner = torch.zeros(count, height, width, dtype=torch.int64, device=device)
    for k in range(solids.present.shape[1]):
        for primitive in Primitive:
            rows = (solids.present[:, k] & (solids.primitive[:, k] == primitive)).nonzero()[:, 0]
            if len(rows) == 0:
                continue
            ray, start = rays[rows, k, ..., None, None], origin[rows, k, :, None, None]
            direction = [ray[:, axis, 0] * u + (ray[:, axis, 1] * v + ray[:, axis, 2]) for axis in range(3)]
            depth = _entry_depth(primitive, [start[:, axis] for axis in range(3)], direction)
            previous = nearest[rows]
            closer = depth < previous
            nearest[rows] = torch.where(closer, depth, previous)
            owner[rows] = torch.where(closer, k, owner[rows])
    return _surface_at_hits(solids, nearest, owner, intrinsics, to_unit, origin)


def _entry_depth(primitive: Primitive, start: list[Tensor], direction: list[Tensor]) -> Tensor:
    """Depth at which rays enter a unit solid, infinite where they miss it or start inside.

    Shapes:
        start, direction: three components each, (R, 1, 1) and (R, H, W); returns (R, H, W).
    """
    quadric_axes = {Primitive.BOX: 0, Primitive.CYLINDER: 2, Primitive.ELLIPSOID: 3}[primitive]
    low = torch.full_like(direction[0], -torch.inf)
    high = torch.full_like(direction[0], torch.inf)
    if quadric_axes:
        o, d = torch.stack(start[:quadric_axes]), torch.stack(direction[:quadric_axes])
        a, b, c = (d * d).sum(0), (o * d).sum(0), (o * o).sum(0) - 1
        root = (b * b - a * c).sqrt()  # NaN where the ray misses; comparisons with NaN are false
        low, high = (-b - root) / a, (-b + root) / a
    for o, d in zip(start[quadric_axes:], direction[quadric_axes:]):
        first, second = (-1 - o) / d, (1 - o) / d
        low, high = torch.maximum(low, torch.minimum(first, second)), torch.minimum(high, torch.maximum(first, second))
    return torch.where((low < high) & (low > NEAR), low, torch.inf)


def _surface_at_hits(
    solids: Solids, nearest: Tensor, owner: Tensor, intrinsics: Tensor, to_unit: Tensor, origin: Tensor
) -> Hits:
    _, height, width = nearest.shape
    pixel = torch.isfinite(nearest).flatten().nonzero()[:, 0]
    batch = pixel // (height * width)
    solid, depth = owner.flatten()[pixel], nearest.flatten()[pixel]
    row = pixel % (height * width) // width
    pixels = torch.stack([(pixel % width).float(), row.float(), torch.ones_like(depth)])
    index = batch * solids.present.shape[1] + solid

    def gather(matrices: Tensor, index: Tensor) -> Tensor:  # (M, ...) -> (..., N)
        return matrices.flatten(1).t().contiguous().index_select(1, index).view(*matrices.shape[1:], -1)

    rays = (gather(torch.linalg.inv(intrinsics), batch) * pixels).sum(1)
    position = rays * depth
    local = (gather(to_unit.flatten(0, 1), index) * position).sum(1) + gather(origin.flatten(0, 1), index)
    primitive, half_extents = solids.primitive.flatten()[index], gather(solids.half_extents.flatten(0, 1), index)

    box_normal = torch.nn.functional.one_hot(local.abs().argmax(0), 3).t() * local.sign()
    radial = local * local.new_tensor([1.0, 1.0, 0.0])[:, None] / half_extents
    local_normal = torch.where(primitive == Primitive.ELLIPSOID, local / half_extents, box_normal)
    on_side = (primitive == Primitive.CYLINDER) & (local[2].abs() < 1 - 1e-4)
    on_end = (primitive == Primitive.CYLINDER) & ~on_side
    local_normal = torch.where(on_side, radial, local_normal)
    local_normal = torch.where(on_end, local * local.new_tensor([0.0, 0.0, 1.0])[:, None], local_normal)
    local_normal = torch.nn.functional.normalize(local_normal, dim=0)
    normal = (gather(solids.axes.flatten(0, 1), index) * local_normal).sum(1)
    return Hits(pixel, batch, solid, depth, position, normal, local, local_normal)
