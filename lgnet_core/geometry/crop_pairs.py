"""Geometric relation between the crops of the two hands of an image.

One crop around both hands shows how they are positioned relative to each other; separate crops do not, so a network on
separate crops takes the relation as an input. InterWild (Moon 2023), which also uses a mirrored crop per hand,
regresses it from image features alone.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lgnet_core.geometry.affine import determinant_2x2, inverse_2x2

RELATION_FEATURES = 15
"""Length of :attr:`CropPairGeometry.relation`."""


class CropPairGeometry(NamedTuple):
    """Geometry of hand crops, one hand per row; a hand without a counterpart is paired with itself.

    Shapes:
        other: (N,) long, row of the other hand. paired: (N,) 1 if there is another hand, else 0.
        frames: (N, 3, 3) camera axes -> canonical axes.
        reflection: (N, 3, 3) s s^T with s = (-1, 1, 1) for a mirrored crop, else (1, 1, 1): the factors on the entries
            of a rotation when x is negated.
        projection: (N, 3, 3) K of the crop, in normalised coordinates [-1, 1]. inverse: (N, 2, 2) inverse of its upper
            left part.
        focal: (N, 1) focal length in half crop sides.
        log_focal: (N, 2) log of the focal length over the crop side, of this crop and of the other one.
        relation: (N, 15) canonical axes of the other hand in this hand's frame (9), and the affine transform from the
            other crop's [-1, 1] to this crop's (6).
        cells: (N, G G, 2) positions of the feature-map cells of the other crop in this crop's [-1, 1], row by row.
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


def crop_pair_geometry(
    intrinsics: Tensor, frames: Tensor, other: Tensor, crop_size: int, map_size: int
) -> CropPairGeometry:
    """Compute the geometry of hand crops.

    Part of the exported network: these are many operations on few numbers, which take ONNX Runtime 0.05 ms on one core,
    but torch 0.2 ms alone and 0.9 ms between the other networks.

    Args:
        intrinsics: K of each crop in camera axes (:func:`lgnet_core.geometry.crops.crop_projection`), pixels.
        frames: camera axes -> canonical axes (:meth:`lgnet_core.geometry.hand_crops.HandCrops.canonical_frames`).
        other: row of the other hand; the row itself if there is none.
        crop_size: S, pixels.
        map_size: G, cells per side of the feature maps.

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
    # Both crops are affine transforms of one image: p = A A_other^-1 p_other = K K_other^-1 p_other.
    from_other = linear @ inverse.index_select(0, other)
    translation = centre - from_other @ centre.index_select(0, other)  # (N, 2, 1)
    steps = (2 * torch.arange(map_size, device=frames.device, dtype=frames.dtype) + 1) / map_size - 1
    grid = torch.stack([steps.repeat(map_size), steps.repeat_interleave(map_size)])  # (2, G G) in [-1, 1]
    cells = (from_other @ grid + translation).transpose(1, 2)
    axes = frames @ frames.index_select(0, other).transpose(1, 2)  # canonical axes of the other hand -> of this one
    affine = torch.cat([from_other.reshape(-1, 4), translation[..., 0]], 1)
    signs = F.pad(determinant.sign(), (0, 2), value=1.0)
    return CropPairGeometry(
        other=other,
        paired=(other != torch.arange(other.shape[0], device=other.device)).to(frames.dtype),
        frames=frames,
        reflection=signs[:, :, None] * signs[:, None],
        projection=projection,
        inverse=inverse,
        focal=focal,
        log_focal=torch.cat([log_focal, log_focal.index_select(0, other)], 1),
        relation=torch.cat([axes.reshape(-1, 9), _soft_clip(affine)], 1),
        cells=_soft_clip(cells),
    )


def _soft_clip(x: Tensor) -> Tensor:
    """Bound to (-4, 4): affine entries and positions grow large if the crops differ much in size or are far apart."""
    return torch.tanh(x / 4) * 4
