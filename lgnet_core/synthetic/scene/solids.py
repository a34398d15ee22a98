r"""Boxes, cylinders and ellipsoids in front of a camera: what hands hold, what hides them, what stands behind them.

A pixel's ray meets a convex solid in one interval of depths, the intersection of the intervals between its parallel
faces and inside its quadric. In axes in which the solid is a unit one, |x|, |y|, |z| <= 1 for a box, x^2 + y^2 <= 1 and
|z| <= 1 for a cylinder, x^2 + y^2 + z^2 <= 1 for an ellipsoid, both are closed forms. No triangles, the same on CPU and
CUDA.

Source: Kay and Kajiya, "Ray tracing complex scenes", SIGGRAPH 1986 (slabs).
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import torch
from torch import Tensor

NEAR = 0.05
"""Metres: what is nearer to the camera is not drawn."""


class Form(IntEnum):
    """A solid's form; its third axis is the long one of a cylinder."""

    BOX = 0
    CYLINDER = 1
    ELLIPSOID = 2


class Solids(NamedTuple):
    """K solids in each of B images, camera frame, metres.

    Shapes:
        form: (B, K) :class:`Form`; there: (B, K) bool; centre: (B, K, 3); axes: (B, K, 3, 3) the solid's axes as
        columns; half: (B, K, 3) half of its size along each of them.
    """

    form: Tensor
    there: Tensor
    centre: Tensor
    axes: Tensor
    half: Tensor

    def turned(self, rotation: Tensor) -> Solids:
        """In a frame turned by ``rotation`` (B, 3, 3)."""
        centre = (rotation[:, None] @ self.centre[..., None])[..., 0]
        return self._replace(centre=centre, axes=rotation[:, None] @ self.axes)

    @classmethod
    def joined(cls, *several: Solids) -> Solids:
        """All of them, one after another."""
        return cls(*(torch.cat(parts, 1) for parts in zip(*several, strict=True)))


class Hits(NamedTuple):
    """The nearest surface at the N pixels that a solid covers, in the order of ``pixel``.

    Shapes:
        pixel: (N,) int64 index into a flattened (B, H, W); batch: (N,) int64 image; solid: (N,) int64, 0 to K - 1;
        depth: (N,) metres; position, normal: (3, N) camera frame; local: (3, N) place on the unit solid;
        facing: (3, N) the normal in the solid's axes.
    """

    pixel: Tensor
    batch: Tensor
    solid: Tensor
    depth: Tensor
    position: Tensor
    normal: Tensor
    local: Tensor
    facing: Tensor

    def where(self, mask: Tensor) -> Hits:
        """Those for which ``mask`` (N,) is true."""
        return Hits(*(values[..., mask] for values in self))


def cast(solids: Solids, intrinsics: Tensor, height: int, width: int) -> Hits:
    """Look at the solids.

    Args:
        intrinsics: (B, 3, 3) K of the images, pixels.
    """
    count, device = len(intrinsics), intrinsics.device
    into = solids.axes.transpose(-1, -2) / solids.half[..., None]  # (B, K, 3, 3) camera frame -> unit solid
    origin = -(into @ solids.centre[..., None])[..., 0]  # (B, K, 3) of the camera
    rays = into @ torch.linalg.inv(intrinsics)[:, None]  # of (u, v, 1): depth 1, so a ray's parameter is the depth
    u = torch.arange(width, device=device, dtype=intrinsics.dtype)
    v = torch.arange(height, device=device, dtype=intrinsics.dtype)[:, None]
    nearest = torch.full((count, height, width), torch.inf, device=device)
    owner = torch.zeros(count, height, width, dtype=torch.int64, device=device)
    for k in range(solids.there.shape[1]):
        for form in Form:
            rows = (solids.there[:, k] & (solids.form[:, k] == form)).nonzero()[:, 0]
            if len(rows) == 0:
                continue
            ray, start = rays[rows, k, ..., None, None], origin[rows, k, :, None, None]
            along = [ray[:, axis, 0] * u + (ray[:, axis, 1] * v + ray[:, axis, 2]) for axis in range(3)]
            depth = _enter(form, [start[:, axis] for axis in range(3)], along)
            before = nearest[rows]
            closer = depth < before
            nearest[rows] = torch.where(closer, depth, before)
            owner[rows] = torch.where(closer, k, owner[rows])
    return _hits(solids, nearest, owner, intrinsics, into, origin)


def _enter(form: Form, start: list[Tensor], along: list[Tensor]) -> Tensor:
    """Depth at which rays enter a unit solid, infinity where they miss it or begin inside.

    Shapes:
        start: three of (R, 1, 1); along: three of (R, H, W); returns (R, H, W).
    """
    round_axes = {Form.BOX: 0, Form.CYLINDER: 2, Form.ELLIPSOID: 3}[form]
    low = torch.full_like(along[0], -torch.inf)
    high = torch.full_like(along[0], torch.inf)
    if round_axes:
        begin, way = torch.stack(start[:round_axes]), torch.stack(along[:round_axes])
        a, b, c = (way * way).sum(0), (begin * way).sum(0), (begin * begin).sum(0) - 1
        root = (b * b - a * c).sqrt()  # NaN where the ray misses: no comparison with it is true
        low, high = (-b - root) / a, (-b + root) / a
    for s, d in zip(start[round_axes:], along[round_axes:]):
        one, other = (-1 - s) / d, (1 - s) / d
        low, high = torch.maximum(low, torch.minimum(one, other)), torch.minimum(high, torch.maximum(one, other))
    return torch.where((low < high) & (low > NEAR), low, torch.inf)


def _hits(solids: Solids, nearest: Tensor, owner: Tensor, intrinsics: Tensor, into: Tensor, origin: Tensor) -> Hits:
    _, height, width = nearest.shape
    pixel = torch.isfinite(nearest).flatten().nonzero()[:, 0]
    batch = pixel // (height * width)
    solid, depth = owner.flatten()[pixel], nearest.flatten()[pixel]
    row = pixel % (height * width) // width
    places = torch.stack([(pixel % width).float(), row.float(), torch.ones_like(depth)])
    per_solid = batch * solids.there.shape[1] + solid

    def pick(matrices: Tensor, index: Tensor) -> Tensor:  # (M, ...) -> (..., N)
        return matrices.flatten(1).t().contiguous().index_select(1, index).view(*matrices.shape[1:], -1)

    rays = (pick(torch.linalg.inv(intrinsics), batch) * places).sum(1)
    position = rays * depth
    local = (pick(into.flatten(0, 1), per_solid) * position).sum(1) + pick(origin.flatten(0, 1), per_solid)
    form, half = solids.form.flatten()[per_solid], pick(solids.half.flatten(0, 1), per_solid)

    flat = torch.nn.functional.one_hot(local.abs().argmax(0), 3).t() * local.sign()
    across = local * local.new_tensor([1.0, 1.0, 0.0])[:, None] / half
    facing = torch.where(form == Form.ELLIPSOID, local / half, flat)
    on_side = (form == Form.CYLINDER) & (local[2].abs() < 1 - 1e-4)
    on_end = (form == Form.CYLINDER) & ~on_side
    facing = torch.where(on_side, across, facing)
    facing = torch.where(on_end, local * local.new_tensor([0.0, 0.0, 1.0])[:, None], facing)
    facing = torch.nn.functional.normalize(facing, dim=0)
    normal = (pick(solids.axes.flatten(0, 1), per_solid) * facing).sum(1)
    return Hits(pixel, batch, solid, depth, position, normal, local, facing)
