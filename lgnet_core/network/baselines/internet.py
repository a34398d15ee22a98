"""InterNet, InterShape's heatmap network (Moon et al. 2020): a 3D heatmap per joint, and the presence of each hand."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from lgnet_core.geometry.coordinates import pixels_to_grid
from lgnet_core.network.backbones.factory import build_backbone
from lgnet_core.network.layers import PerHand, static_sizes
from lgnet_core.network.lgnet.joint_stage import DEPTH_CELLS, soft_argmax_3d
from lgnet_core.types import NUM_KEYPOINTS

SOFTMAX_SCALE = 25.0
"""Factor (inverse temperature) of the heatmaps in the soft-argmax.

A peak of 1 then outweighs 64^3 empty voxels by 10^5, one of 0.6 by 50, so the expectation is at the peak, to sub-voxel
precision, unlike the argmax.
"""
MIN_CONFIDENCE = 1e-3
"""Confidence of a joint without a peak; with no peaks at all, a weighted fit then weights all joints equally."""


class Peaks(NamedTuple):
    """Positions and heights of the heatmap peaks.

    Shapes:
        voxels: (B, 2, 21, 3) as (u, v, d), voxel centres at integers.
        confidence: (B, 2, 21) height of the peak, positive.
    """

    voxels: Tensor
    confidence: Tensor


class VolumeDecoder(nn.Module):
    """Heatmap volumes of one hand from the stride-32 map: three transposed convolutions and a 1x1 convolution.

    Shapes:
        deep: (B, in_channels, G, G); returns (B, 21, depth, 8 G, 8 G).
    """

    def __init__(self, in_channels: int, channels: int, depth: int) -> None:
        super().__init__()
        self.depth = depth
        layers: list[nn.Module] = []
        for source in (in_channels, channels, channels):
            layers += [
                nn.ConvTranspose2d(source, channels, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
            ]
        self.grow = nn.Sequential(*layers)
        self.volume = nn.Conv2d(channels, NUM_KEYPOINTS * depth, 1)
        nn.init.normal_(self.volume.weight, std=1e-3)  # volumes are close to zero at first
        nn.init.zeros_(cast(nn.Parameter, self.volume.bias))

    def forward(self, deep: Tensor) -> Tensor:
        flat = self.volume(self.grow(deep))
        return flat.view(-1, NUM_KEYPOINTS, self.depth, *static_sizes(flat, 2, 3))


class InterNet(nn.Module):
    """Backbone, a heatmap decoder per hand, and a presence head on the mean of the stride-32 map.

    Args:
        backbone: name of the backbone. channels: width of the decoders. depth: voxels along the depth box.

    Shapes:
        image: (B, 3, S, S); returns volumes (B, 2, 21, depth, S / 4, S / 4), and presence logits (B, 2).
    """

    def __init__(self, backbone: str, channels: int, depth: int) -> None:
        super().__init__()
        self.backbone = build_backbone(backbone)
        deep = self.backbone.deep_channels
        self.decoder = PerHand(lambda: VolumeDecoder(deep, channels, depth))
        self.presence = nn.Linear(deep, 2)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        _, deep = self.backbone(image)
        return self.decoder(deep[:, None].expand(-1, 2, -1, -1, -1)), self.presence(deep.mean((-2, -1)))


def find_peaks(volumes: Tensor) -> Peaks:
    """Soft-argmax of each volume, and the value of its highest voxel.

    Shapes:
        volumes: (B, 2, 21, D, H, W).
    """
    flat = volumes.flatten(0, 1)
    voxels = soft_argmax_3d(SOFTMAX_SCALE * flat).unflatten(0, (-1, 2))
    confidence = volumes.amax((-3, -2, -1)).to(voxels.dtype).clamp_min(MIN_CONFIDENCE)
    return Peaks(voxels, confidence)


def voxels_to_grid(voxels: Tensor, volumes: Tensor, map_size: int) -> Tensor:
    """Convert voxels to ``joints_grid`` of :class:`~lgnet_core.network.HandsPrediction`, a grid over the same box.

    Shapes:
        voxels: (..., 3); volumes: (..., D, H, W); returns (..., 3).
    """
    depth, width = static_sizes(volumes, -3, -1)
    cells = pixels_to_grid(voxels[..., :2], width, map_size)
    return torch.cat([cells, pixels_to_grid(voxels[..., 2:], depth, DEPTH_CELLS)], -1)
