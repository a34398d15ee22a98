"""How hands' crops lie to each other: inputs of networks that see each hand in a crop of its own.

In one crop of both hands their relation is in the pixels; in two crops it is not. InterWild (Moon 2023), which also
gives each hand a mirrored crop of its own, regresses the relation from features alone.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lgnet_core.geometry.camera import determinant_2x2, inverse_2x2

RELATION_SIZE = 15


class CropGeometry(NamedTuple):
    """What is known of the crops of hands, one hand a row; where there is no other hand, the own one stands in for it.

    Shapes:
        other: (N,) long, row of the other hand. paired: (N,) 1 where there is another hand, else 0.
        frames: (N, 3, 3) camera axes -> canonical axes.
        reflection: (N, 3, 3) s s^T with s = (-1, 1, 1) of a mirrored crop, else (1, 1, 1): what the entries of a
            rotation are multiplied by when x is turned around.
        projection: (N, 3, 3) K of the crop, in its [-1, 1]. inverse: (N, 2, 2) of its upper left part.
        focal: (N, 1) focal length in half crops.
        log_focal: (N, 2) log of the focal length over the crop's side, of the own and of the other's crop.
        relation: (N, 15) the other's canonical axes in the own ones (9), and the affine from the other crop's [-1, 1]
            to the own crop's (6).
        cells: (N, G G, 2) where the cells of the other crop's map lie in the own crop's [-1, 1], row by row.
    """

    other: Tensor
    paired: Tensor
    frames: Tensor
    reflection: Tensor
    projection: Tensor
    inverse: Tensor
    focal: Tensor
    log_focal: Tensor
    relation: Tensor
    cells: Tensor


def crop_geometry(intrinsics: Tensor, frames: Tensor, other: Tensor, crop_size: int, map_size: int) -> CropGeometry:
    """Geometry of crops.

    Many operations on a few numbers each: ONNX Runtime takes 0.05 ms of one core for them, torch 0.2 by themselves and
    0.9 amid the other networks. So they are part of the network.

    Args:
        intrinsics: K of each crop in the camera's axes (:func:`lgnet_core.geometry.hand_crops.crop_projection`),
        pixels. frames: camera axes -> canonical axes (:meth:`lgnet_core.geometry.hand_crops.HandCrops.frame`). other:
        row of the other hand; the own row where there is none. crop_size: S, pixels. map_size: G, cells per side of the
        maps.

    Shapes:
        intrinsics, frames: (N, 3, 3); other: (N,) long.
    """
    shift = 1 / crop_size - 1
    normalise = frames.new_tensor([[2 / crop_size, 0, shift], [0, 2 / crop_size, shift], [0, 0, 1]])
    projection = normalise @ intrinsics
    linear, centre = projection[:, :2, :2], projection[:, :2, 2:]
    determinant, inverse = determinant_2x2(linear)[:, None], inverse_2x2(linear)
    focal = determinant.abs().sqrt()
    log_focal = torch.log(focal / 2)
    # Both crops are affine maps of one image: p_own = A_own A_other^-1 p_other = K_own K_other^-1 p_other.
    to_own = linear @ inverse.index_select(0, other)
    moved = centre - to_own @ centre.index_select(0, other)  # (N, 2, 1)
    steps = (2 * torch.arange(map_size, device=frames.device, dtype=frames.dtype) + 1) / map_size - 1
    grid = torch.stack([steps.repeat(map_size), steps.repeat_interleave(map_size)])  # (2, G G) in [-1, 1]
    cells = (to_own @ grid + moved).transpose(1, 2)
    axes = frames @ frames.index_select(0, other).transpose(1, 2)  # the other's axes -> own axes
    affine = torch.cat([to_own.reshape(-1, 4), moved[..., 0]], 1)
    signs = F.pad(determinant.sign(), (0, 2), value=1.0)
    return CropGeometry(
        other=other,
        paired=(other != torch.arange(other.shape[0], device=other.device)).to(frames.dtype),
        frames=frames,
        reflection=signs[:, :, None] * signs[:, None],
        projection=projection,
        inverse=inverse,
        focal=focal,
        log_focal=torch.cat([log_focal, log_focal.index_select(0, other)], 1),
        relation=torch.cat([axes.reshape(-1, 9), _bounded(affine)], 1),
        cells=_bounded(cells),
    )


def _bounded(x: Tensor) -> Tensor:
    """An affine may be large where the crops' sizes differ by much, and places far away: bounded, as features are."""
    return torch.tanh(x / 4) * 4
