"""Joint stage: 2.5D joints by soft-argmax and one feature per joint (LGNet section III-A; EANet, Pose2Pose)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from lgnet_core.network.layers import conv_norm_relu, sample_small_map, static_sizes
from lgnet_core.types import NUM_KEYPOINTS

DEPTH_CELLS = 8
"""Cells of the 2.5D joints' grid along the depth box."""


def soft_argmax_3d(volume: Tensor) -> Tensor:
    r"""Expectation of a softmax over a voxel grid, in grid cells.

    .. math:: j = \sum_v \mathrm{softmax}(h)_v \, v

    Cell centres are integers, so a one-hot volume returns its own index; targets use the same convention, see
    :func:`lgnet_core.geometry.coordinates.pixels_to_grid`.

    Shapes:
        volume: (B, J, D, H, W) logits; returns (B, J, 3) as (u, v, d) in cells.
    """
    count, depth, height, width = static_sizes(volume, 1, 2, 3, 4)
    dtype = torch.promote_types(volume.dtype, torch.float32)  # bfloat16 has too few digits for sub-cell positions
    p = volume.reshape(-1, count, depth * height * width).softmax(-1, dtype=dtype)
    p = p.view(-1, count, depth, height, width)

    def mean(marginal: Tensor) -> Tensor:  # (B, J, N) -> (B, J)
        return (marginal * torch.arange(*static_sizes(marginal, -1), device=p.device, dtype=p.dtype)).sum(-1)

    plane = p.sum(2)  # (B, J, H, W)
    return torch.stack([mean(plane.sum(2)), mean(plane.sum(3)), mean(p.sum((3, 4)))], -1)


def normalise_joints(joints_grid: Tensor, map_size: int) -> Tensor:
    """2.5D joints from cells to [-1, 1] of the crop and the depth box, for any map size.

    Shapes:
        joints_grid: (..., 3) as (u, v, d); returns (..., 3).
    """
    cells = joints_grid.new_tensor([map_size, map_size, DEPTH_CELLS])
    return (2 * joints_grid + 1) / cells - 1


class JointStage(nn.Module):
    """2.5D joints of one hand, and features sampled from its map at these joints.

    The sampling positions are detached.

    Args:
        in_channels: of F*_h. channels: c of the joint features.

    Shapes:
        enhanced: (B, in_channels, G, G); returns joints (B, 21, 3) as (u, v, d) cells, and tokens (B, 21, c), the F_J.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.volume = nn.Conv2d(in_channels, NUM_KEYPOINTS * DEPTH_CELLS, 1)
        self.features = conv_norm_relu(in_channels, channels)
        nn.init.normal_(self.volume.weight, std=1e-3)  # joints start at the centre of the crop
        nn.init.constant_(cast(nn.Parameter, self.volume.bias), 0)

    def forward(self, enhanced: Tensor) -> tuple[Tensor, Tensor]:
        height, width = static_sizes(enhanced, 2, 3)
        volume = self.volume(enhanced).view(-1, NUM_KEYPOINTS, DEPTH_CELLS, height, width)
        joints = soft_argmax_3d(volume)
        points = normalise_joints(joints, width)[..., :2].detach()
        return joints, sample_small_map(self.features(enhanced), points)


class MeanTokens(nn.Module):
    """Joint tokens of the ablation without joint stage: the hand's mean feature for all 21 joints.

    Shapes:
        enhanced: (B, in_channels, G, G); returns (B, 21, c).
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels, channels)

    def forward(self, enhanced: Tensor) -> Tensor:
        return self.linear(enhanced.mean((-2, -1)))[:, None].expand(-1, NUM_KEYPOINTS, -1)
