"""Shadows of one distant light, by a depth map seen from it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lgnet_core.data.synthetic.raster import depth_map

MAP_SIZE = 192
_MARGIN = 0.02  # metres around the hands
_DISTANCE = 2.0  # metres from the light's plane to the middle of the hands
_BIAS = 0.0015  # metres along the light's ray: surfaces must not shade themselves
_OFFSET = 0.002  # metres along the normal


class ShadowMap:
    """What a directional light sees of the hands.

    Args:
        vertices: camera frame, metres. focus: which of them the map must hold (the hands; arms may leave it).
        direction: towards the light.

    Shapes:
        vertices: (B, V, 3); faces: (F, 3); face_mask: (B, F) bool; focus: (B, V) bool; direction: (B, 3).
    """

    def __init__(self, vertices: Tensor, faces: Tensor, face_mask: Tensor, focus: Tensor, direction: Tensor) -> None:
        forward = -direction
        helper = torch.where(
            forward[:, 1:2].abs() > 0.9,
            torch.tensor([1.0, 0.0, 0.0], device=vertices.device),
            torch.tensor([0.0, 1.0, 0.0], device=vertices.device),
        )
        across = F.normalize(torch.linalg.cross(helper, forward), dim=1)
        rotation = torch.stack([across, torch.linalg.cross(forward, across), forward], 1)  # rows: the light's axes
        seen = vertices @ rotation.transpose(1, 2)
        far = 1e4
        low = torch.where(focus[..., None], seen, far).amin(1)
        high = torch.where(focus[..., None], seen, -far).amax(1)
        empty = ~focus.any(1)[:, None]
        low, high = low.masked_fill(empty, -0.1), high.masked_fill(empty, 0.1)
        side = (high - low)[:, :2].amax(1, keepdim=True) + 2 * _MARGIN
        scale = torch.cat([MAP_SIZE / side, MAP_SIZE / side, torch.ones_like(side)], 1)
        target = torch.tensor([(MAP_SIZE - 1) / 2, (MAP_SIZE - 1) / 2, _DISTANCE], device=vertices.device)
        self.linear = rotation * scale[..., None]
        self.shift = target - (low + high) / 2 * scale
        placed = seen * scale[:, None] + self.shift[:, None]
        self.depth = depth_map(placed, faces, MAP_SIZE, MAP_SIZE, face_mask)

    def light(self, points: Tensor, normals: Tensor, batch: Tensor, softness: Tensor) -> Tensor:
        """Share of the light that reaches points, in [0, 1]: four taps ``softness`` cells apart.

        Shapes:
            points, normals: (N, 3); batch: (N,); softness: (B, 1) cells; returns (N, 1).
        """
        lifted = points + _OFFSET * normals
        placed = (self.linear.index_select(0, batch) * lifted[:, None]).sum(2) + self.shift.index_select(0, batch)
        u, v, depth = placed.unbind(1)
        depth = depth - _BIAS
        flat, base = self.depth.flatten(), batch * (MAP_SIZE * MAP_SIZE)
        reach = softness[:, 0].index_select(0, batch) * 0.5
        lit = torch.zeros_like(depth)
        for du, dv in ((-1, -0.4), (0.4, -1), (1, 0.4), (-0.4, 1)):
            column = (u + du * reach).round().long().clamp(0, MAP_SIZE - 1)
            row = (v + dv * reach).round().long().clamp(0, MAP_SIZE - 1)
            lit += (flat.index_select(0, base + row * MAP_SIZE + column) > depth).to(lit.dtype)
        return lit[:, None] * 0.25
