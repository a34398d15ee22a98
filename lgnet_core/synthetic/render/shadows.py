"""Shadows of one distant light: among the hands by a depth map seen from it, behind them by their outline."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lgnet_core.synthetic.random import Draws
from lgnet_core.visualization.raster import depth_map

MAP_SIZE = 192
_MARGIN = 0.02  # metres around the hands
_DISTANCE = 2.0  # metres from the light's plane to the middle of the hands
_BIAS = 0.0015  # metres along the light's ray: surfaces must not shade themselves
_COARSENING = 4  # pixels of an image per cell of the outline that casts a shadow on the background
LIFT = 0.002
"""Metres along the normal by which points are lifted before they are looked up."""


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
        self.depth = depth_map(self.place(vertices), faces, MAP_SIZE, MAP_SIZE, face_mask)

    def place(self, points: Tensor) -> Tensor:
        """Camera-frame points (B, V, 3) as (column, row, depth in metres) of the map."""
        return points @ self.linear.transpose(1, 2) + self.shift[:, None]

    def place_each(self, points: Tensor, batch: Tensor) -> Tensor:
        """As :meth:`place`, for points (3, N) of the images ``batch`` (N,)."""
        linear = self.linear.flatten(1).t().index_select(1, batch).view(3, 3, -1)
        return (linear * points).sum(1) + self.shift.t().index_select(1, batch)

    def light(self, placed: Tensor, batch: Tensor, softness: Tensor) -> Tensor:
        """Share of the light that reaches points, in [0, 1]: four taps ``softness`` cells apart.

        Args:
            placed: points of :meth:`place`, lifted a little off their surface (``LIFT`` along its normal).

        Shapes:
            placed: (3, N); batch: (N,); softness: (B, 1) cells; returns (N,).
        """
        u, v, depth = placed
        depth = depth - _BIAS
        flat, base = self.depth.flatten(), batch * (MAP_SIZE * MAP_SIZE)
        reach = softness[:, 0].index_select(0, batch) * 0.5
        lit = torch.zeros_like(depth)
        for du, dv in ((-1, -0.4), (0.4, -1), (1, 0.4), (-0.4, 1)):
            column = (u + du * reach).round().clamp(0, MAP_SIZE - 1)
            row = (v + dv * reach).round().clamp(0, MAP_SIZE - 1)
            lit += flat.index_select(0, base + (row * MAP_SIZE + column).long()) > depth
        return lit * 0.25


def cast_shadow(covered: Tensor, direction: Tensor, draws: Draws) -> Tensor:
    """How much light a wall or a table behind the hands keeps: their outline, shifted away from the light and blurred.

    Nothing is known of what a background shows, so this is no more than plausible; many images have none.

    Args:
        covered: 1 where hands and arms are seen, else 0. direction: towards the light, camera frame.

    Shapes:
        covered: (B, H, W) float; direction: (B, 3); returns (B, 1, H, W) in [0, 1].
    """
    height, width = covered.shape[1:]
    outline = F.avg_pool2d(covered[:, None], _COARSENING, ceil_mode=True)
    radius = max(1, min(outline.shape[2:]) // 24)
    for _ in range(2):
        outline = F.avg_pool2d(outline, 2 * radius + 1, stride=1, padding=radius)
    reach = draws.uniform("shadow/reach", 1, high=0.35)
    shift = direction[:, :2] * reach  # in half images; the shadow is looked up towards the light
    scale = draws.uniform("shadow/scale", 1, low=0.9, high=1.1)
    affine = torch.cat([torch.diag_embed(scale.expand(-1, 2)), shift[..., None]], 2)
    grid = F.affine_grid(affine, list(outline.shape), align_corners=False)
    shadow = F.grid_sample(outline, grid, align_corners=False)
    depth = draws.uniform("shadow/on_background", 1, low=-0.5, high=0.75).clamp_min(0)
    shadow = F.interpolate(shadow, size=(height, width), mode="bilinear", align_corners=False)
    return 1 - depth[..., None, None] * shadow
