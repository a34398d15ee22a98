"""Heatmap volumes with a known peak."""

from __future__ import annotations

import torch

from lgnet_core.training.losses.intershape import HEATMAP_SIGMA


def gaussian_volume(centre, size):
    """Target heatmap of the loss as a full volume (D, H, W), for a centre (u, v, d) in voxels."""
    d, v, u = torch.meshgrid(*(torch.arange(float(size)) for _ in range(3)), indexing="ij")
    squared = (u - centre[0]) ** 2 + (v - centre[1]) ** 2 + (d - centre[2]) ** 2
    return torch.exp(-squared / (2 * (HEATMAP_SIGMA * size) ** 2))
