"""Square crops around the hands: sampling with jitter, and their cameras.

Batched counterparts of :func:`lgnet_core.geometry.crops.square_crop` and
:func:`~lgnet_core.geometry.crops.crop_intrinsics`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lgnet_core.geometry.camera import project
from lgnet_core.synthetic.camera.viewpoints import CameraView, axis_rotation
from lgnet_core.synthetic.rng import CounterRng


def need_separate_crops(low: Tensor, high: Tensor) -> Tensor:
    """Whether two hands need a crop each: the gap between their boxes exceeds half of the mean longer side.

    Shapes:
        low, high: (B, 2, 2) corners of the boxes, pixels; returns (B,) bool.
    """
    gap = (torch.maximum(low[:, 0], low[:, 1]) - torch.minimum(high[:, 0], high[:, 1])).amax(1)
    return gap > 0.5 * (high - low).amax(-1).mean(1)


def sample_crops(rng: CounterRng, view: CameraView, presence: Tensor, vertices: Tensor, size: int) -> Tensor:
    """Sample square crops around the hands, with jitter of position, size and rotation.

    A crop contains both hands, or a random one of them if they are too far apart (:func:`need_separate_crops`). Images
    without hands get a random crop. A hand whose centre is outside of the image is ignored if the other one is inside.

    Args:
        vertices: (B, 2, 778, 3) camera frame, metres. size: side of the crops, pixels.

    Returns:
        (B, 2, 3) affine maps from pixels of the full image to pixels of the crop.
    """
    pixels = project(vertices, view.intrinsics[:, None], min_depth=0.05)
    centroid = pixels.mean(2)
    inside = presence & (centroid > 0).all(-1) & (centroid < view.size[:, None] - 1).all(-1)
    presence = torch.where(inside.any(1, keepdim=True), inside, presence)
    border = 0.1 * view.size[:, None]
    low = torch.maximum(pixels.amin(2), -border)  # (B, 2, 2); ignores parts far outside of the image
    high = torch.minimum(pixels.amax(2), view.size[:, None] - 1 + border)
    low = torch.minimum(low, high - 8)

    separate = presence.all(1) & need_separate_crops(low, high)
    chosen = torch.nn.functional.one_hot(rng.choice("crop/hand", [1.0, 1.0]), 2).bool()
    target = torch.where(separate[:, None], chosen, presence)
    low, high = (
        torch.where(target[..., None], low, torch.inf).amin(1),
        torch.where(target[..., None], high, -torch.inf).amax(1),
    )
    centre, side = (low + high) / 2, (high - low).amax(1)

    random_crop = rng.uniform("crop/anywhere", 3)
    empty = ~presence.any(1)
    centre = torch.where(empty[:, None], (0.2 + 0.6 * random_crop[:, :2]) * view.size, centre)
    side = torch.where(empty, (0.2 + 0.7 * random_crop[:, 2]) * view.size[:, 1], side)

    side = side * torch.where(
        rng.bernoulli("crop/wide", 0.25),
        rng.uniform("crop/margin", low=1.3, high=1.9),
        rng.uniform("crop/margin", low=1.0, high=1.5),
    )
    centre = centre + rng.normal("crop/shift", 2, std=0.05).clamp(-0.15, 0.15) * side[:, None]
    angle = rng.normal("crop/turn", std=8.0).clamp(-25, 25) * (math.pi / 180)
    linear = axis_rotation(angle, 2)[:, :2, :2] * (size / side)[:, None, None]
    offset = (size - 1) / 2 - (linear @ centre[..., None])[..., 0]
    return torch.cat([linear, offset[..., None]], -1)


def crop_cameras(affine: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor]:
    """Intrinsics K' of crops and rotations R_z of their camera frames, with A K = K' R_z for the affine map A.

    Shapes:
        affine: (B, 2, 3); intrinsics: (B, 3, 3); returns (B, 3, 3) twice.
    """
    linear = affine[:, :, :2]
    planar_rotation = linear / torch.linalg.det(linear).sqrt()[:, None, None]
    cropped = torch.zeros_like(intrinsics)
    cropped[:, :2, :2] = linear @ intrinsics[:, :2, :2] @ planar_rotation.transpose(1, 2)
    cropped[:, :2, 2] = (linear @ intrinsics[:, :2, 2:])[..., 0] + affine[:, :, 2]
    cropped[:, 2, 2] = 1
    rotation = torch.zeros_like(intrinsics)
    rotation[:, :2, :2] = planar_rotation
    rotation[:, 2, 2] = 1
    return cropped, rotation
