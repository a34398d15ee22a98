"""How two hands' crops lie to each other: an input of networks that see each hand in a crop of its own.

In one crop of both hands their relation is in the pixels; in two crops it is not. InterWild (Moon 2023), which also
gives each hand a mirrored crop of its own, regresses the relation from features alone.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lgnet_core.camera import determinant_2x2, inverse_2x2, pixels_to_normalised


class CropGeometry(NamedTuple):
    """Geometry of each hand's crop, and of the other hand's crop as seen from it; the axis of length 2 is the own side.

    Shapes:
        log_focal: (B, 2, 1) log of the focal length over the crop's side.
        relation: (B, 2, 15) the other's canonical axes in the own ones (9), and the affine from the other crop's
            [-1, 1] to the own crop's (6).
        cells: (B, 2, G G, 2) where the cells of the other crop's map lie in the own crop's [-1, 1], row by row.
    """

    log_focal: Tensor
    relation: Tensor
    cells: Tensor


RELATION_SIZE = 15


def crop_geometry(intrinsics: Tensor, frames: Tensor, crop_size: int, map_size: int) -> CropGeometry:
    """Geometry of two crops.

    Args:
        intrinsics: K of each crop in the camera's axes (:func:`lgnet_core.hand_crops.crop_projection`), pixels.
        frames: camera axes -> canonical axes (:meth:`lgnet_core.hand_crops.HandCrops.frame`).
        crop_size: S, pixels. map_size: G, cells per side of the maps.

    Shapes:
        intrinsics: (B, 2, 3, 3); frames: (B, 2, 3, 3).
    """
    focal = determinant_2x2(intrinsics[..., :2, :2]).abs().sqrt() / crop_size
    other_axes = frames @ frames.flip(1).transpose(-1, -2)  # the other's axes -> own axes
    # Both crops are affine maps of one image: p_own = A_own A_other^-1 p_other = K_own K_other^-1 p_other.
    linear = intrinsics[..., :2, :2] @ inverse_2x2(intrinsics.flip(1)[..., :2, :2])
    shift = intrinsics[..., :2, 2] - (linear @ intrinsics.flip(1)[..., :2, 2:])[..., 0]
    middle = (crop_size - 1) / 2
    centre = pixels_to_normalised(linear.sum(-1) * middle + shift, crop_size)  # the other crop's centre
    steps = torch.arange(map_size, device=frames.device, dtype=frames.dtype)
    steps = (2 * steps + 1) / map_size - 1
    cells = torch.stack([steps.repeat(map_size), steps.repeat_interleave(map_size)], -1)  # (G G, 2) in [-1, 1]
    places = cells @ linear.transpose(-1, -2) + centre[..., None, :]
    # An affine may be large where the crops' sizes differ by much, and places far away: bounded, as features are.
    affine = torch.cat([linear.flatten(-2), centre], -1)
    relation = torch.cat([other_axes.flatten(-2), torch.tanh(affine / 4) * 4], -1)
    return CropGeometry(focal.log()[..., None], relation, torch.tanh(places / 4) * 4)
