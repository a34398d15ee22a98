"""InterShape's first network, InterNet (Moon et al. 2020): a heatmap volume for each joint, each hand's presence."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from lgnet_core.geometry.camera import pixels_to_grid
from lgnet_core.network.backbones.efficientnet import build_backbone
from lgnet_core.network.layers import PerHand, sizes
from lgnet_core.network.lgnet.joint_stage import DEPTH_CELLS, soft_argmax_3d
from lgnet_core.types import NUM_KEYPOINTS

SHARPNESS = 25.0
"""Factor of the heatmaps in the softmax that reads them.

A peak of 1 then outweighs 64^3 empty voxels by 10^5, one of 0.6 by 50, and the expectation is the peak with the part of
a voxel besides, which the highest voxel alone does not give.
"""
LEAST_CONFIDENCE = 1e-3
"""Of a joint without a peak, so that a fit to no peaks at all is a fit to equal ones."""


class Peaks(NamedTuple):
    """Where the heatmaps have their peaks.

    Shapes:
        voxels: (B, 2, 21, 3) as (u, v, d), voxel centres at integers.
        confidence: (B, 2, 21) height of the peak, above 0.
    """

    voxels: Tensor
    confidence: Tensor


class VolumeDecoder(nn.Module):
    """One hand's volumes from the stride-32 map: three transposed convolutions and a 1x1 convolution.

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
        nn.init.normal_(self.volume.weight, std=1e-3)  # volumes start empty
        nn.init.zeros_(cast(nn.Parameter, self.volume.bias))

    def forward(self, deep: Tensor) -> Tensor:
        flat = self.volume(self.grow(deep))
        return flat.view(-1, NUM_KEYPOINTS, self.depth, *sizes(flat, 2, 3))


class InterNet(nn.Module):
    """A backbone of its own, a decoder for each hand, and its presence from the mean of the stride-32 map.

    Args:
        backbone: its name. channels: of the decoders. depth: voxels along the depth box.

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
    """Expectation of a sharp softmax over each volume, and the height of its highest voxel.

    Shapes:
        volumes: (B, 2, 21, D, H, W).
    """
    flat = volumes.flatten(0, 1)
    voxels = soft_argmax_3d(SHARPNESS * flat).unflatten(0, (-1, 2))
    confidence = volumes.amax((-3, -2, -1)).to(voxels.dtype).clamp_min(LEAST_CONFIDENCE)
    return Peaks(voxels, confidence)


def voxels_to_grid(voxels: Tensor, volumes: Tensor, map_size: int) -> Tensor:
    """Voxels to the cells of :class:`~lgnet_core.network.HandsPrediction`'s ``joints_grid``: another grid, same box.

    Shapes:
        voxels: (..., 3); volumes: (..., D, H, W); returns (..., 3).
    """
    depth, width = sizes(volumes, -3, -1)
    places = pixels_to_grid(voxels[..., :2], width, map_size)
    return torch.cat([places, pixels_to_grid(voxels[..., 2:], depth, DEPTH_CELLS)], -1)
