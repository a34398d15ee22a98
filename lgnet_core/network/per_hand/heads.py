"""Token embedding and regression heads of the per-hand stages."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_core.geometry.crop_pairs import RELATION_FEATURES, CropPairGeometry
from lgnet_core.hand_model.asset import NUM_MANO_JOINTS, NUM_SHAPE_PARAMETERS
from lgnet_core.network.layers import sample_small_map
from lgnet_core.network.lgnet.mesh_stage import HAND_EXTENT

WORLD_SCALE = 0.05
"""Metres; divides landmarks relative to the hand's centre so that they are roughly in [-1, 1]."""
WRIST_OFFSET_SCALE = 0.1
"""Metres per unit of the correction of the wrist offset."""


class JointTokens(nn.Module):
    """One token per landmark, from features sampled at it and its position, and one token for the whole hand.

    Shapes:
        features: (N, c*, G, G); middle: (N, C_16, 2 G, 2 G); mean: (N, C_32); joints: (N, 21, 3) in [-1, 1] of the
        crop and of the depth box; world: (N, 21, 3) metres; log_focal: (N, 1); returns (N, 22, c).
    """

    def __init__(self, enhanced: int, middle: int, deep: int, channels: int) -> None:
        super().__init__()
        self.joint = nn.Linear(enhanced + middle + 6, channels)
        self.hand = nn.Linear(deep + 1, channels)

    def forward(
        self, features: Tensor, middle: Tensor, mean: Tensor, joints: Tensor, world: Tensor, log_focal: Tensor
    ) -> Tensor:
        points = joints[..., :2]
        inputs = [sample_small_map(features, points), sample_small_map(middle, points), joints, world / WORLD_SCALE]
        hand = self.hand(torch.cat([mean, log_focal], -1))
        return torch.cat([self.joint(torch.cat(inputs, -1)), hand[:, None]], 1)


class ResidualMLP(nn.Module):
    """Pre-norm residual MLP. Shapes: (N, width) -> (N, width)."""

    def __init__(self, width: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class HandParameterRegressor(nn.Module):
    """Hand-model rotations, shape and scale correction from the flattened features; initialised to the mean pose.

    Args:
        features: length of the input. width, depth: of the residual layers. mean_rotations: (16, 3, 3).

    Shapes:
        flat: (N, features); returns rotations in 6D (N, 16, 6), shape (N, 10), log of the scale correction (N, 1).
    """

    def __init__(self, features: int, width: int, depth: int, mean_rotations: Tensor) -> None:
        super().__init__()
        blocks = (ResidualMLP(width) for _ in range(depth))
        self.hidden = nn.Sequential(nn.Linear(features, width), *blocks, nn.LayerNorm(width), nn.GELU())
        self.out = nn.Linear(width, NUM_MANO_JOINTS * 6 + NUM_SHAPE_PARAMETERS + 1)
        nn.init.xavier_uniform_(self.out.weight, gain=0.01)
        nn.init.zeros_(self.out.bias)
        with torch.no_grad():
            self.out.bias[: NUM_MANO_JOINTS * 6] = mean_rotations[..., :2].flatten()

    def forward(self, flat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        sizes = [NUM_MANO_JOINTS * 6, NUM_SHAPE_PARAMETERS, 1]
        columns, shape, log_scale = self.out(self.hidden(flat)).split(sizes, -1)
        return columns.reshape(-1, NUM_MANO_JOINTS, 6), shape, log_scale


class WristOffsetHead(nn.Module):
    """Correction of the vector from this hand's wrist to the other hand's, in canonical axes.

    Shapes:
        means: (N, c*); geometry: of the crops; offset: (N, 3) metres, between the wrists as placed independently;
        returns (N, 3) metres, corrected.
    """

    def __init__(self, enhanced: int, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(2 * enhanced + RELATION_FEATURES + 5, channels)
        self.out = nn.Linear(channels, 3)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, means: Tensor, geometry: CropPairGeometry, offset: Tensor) -> Tensor:
        other_means = means.index_select(0, geometry.other)
        inputs = [means, other_means, geometry.relation, geometry.log_focal, torch.tanh(offset / (2 * HAND_EXTENT))]
        return offset + WRIST_OFFSET_SCALE * self.out(F.gelu(self.hidden(torch.cat(inputs, -1))))
