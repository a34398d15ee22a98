"""Heatmap volumes with a known peak."""

from __future__ import annotations

import torch

from lgnet_core.training.losses.intershape import PEAK_WIDTH


def gaussian(place, size):
    """A target as the loss wants it, made whole: (D, H, W) for a place (u, v, d) in voxels."""
    d, v, u = torch.meshgrid(*(torch.arange(float(size)) for _ in range(3)), indexing="ij")
    squared = (u - place[0]) ** 2 + (v - place[1]) ** 2 + (d - place[2]) ** 2
    return torch.exp(-squared / (2 * (PEAK_WIDTH * size) ** 2))
