"""Shadows of the key light: a shadow map for hands and objects, and an approximate shadow on the background."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lgnet_core.synthetic.rng import CounterRng
from lgnet_core.visualization.raster import depth_map

MAP_SIZE = 192
"""Side of the shadow map, cells."""
_MARGIN = 0.02  # metres around the hands
_LIGHT_DISTANCE = 2.0  # metres from the plane of the light to the centre of the hands
_DEPTH_BIAS = 0.0015  # metres, against self-shadowing
_DOWNSAMPLING = 4  # of the silhouette that casts a shadow on the background
NORMAL_OFFSET = 0.002
"""Offset of points along their normal before the shadow map lookup, metres."""


class ShadowMap:
    """Shadow map of a directional light.

    Args:
        vertices: camera frame, metres. focus: vertices that the map must cover (hands; arms may extend beyond it).
        direction: unit vector towards the light.

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
        rotation = torch.stack(
            [across, torch.linalg.cross(forward, across), forward], 1
        )  # rows: axes of the light frame
        in_light = vertices @ rotation.transpose(1, 2)
        far = 1e4
        low = torch.where(focus[..., None], in_light, far).amin(1)
        high = torch.where(focus[..., None], in_light, -far).amax(1)
        empty = ~focus.any(1)[:, None]
        low, high = low.masked_fill(empty, -0.1), high.masked_fill(empty, 0.1)
        side = (high - low)[:, :2].amax(1, keepdim=True) + 2 * _MARGIN
        scale = torch.cat([MAP_SIZE / side, MAP_SIZE / side, torch.ones_like(side)], 1)
        target = torch.tensor([(MAP_SIZE - 1) / 2, (MAP_SIZE - 1) / 2, _LIGHT_DISTANCE], device=vertices.device)
        self.linear = rotation * scale[..., None]
        self.shift = target - (low + high) / 2 * scale
        self.depth = depth_map(self.project(vertices), faces, MAP_SIZE, MAP_SIZE, face_mask)

    def project(self, points: Tensor) -> Tensor:
        """Map points (B, V, 3) from the camera frame to (column, row, depth in metres) of the shadow map."""
        return points @ self.linear.transpose(1, 2) + self.shift[:, None]

    def project_fragments(self, points: Tensor, batch: Tensor) -> Tensor:
        """Same as :meth:`project` for points (3, N) of the images ``batch`` (N,)."""
        linear = self.linear.flatten(1).t().index_select(1, batch).view(3, 3, -1)
        return (linear * points).sum(1) + self.shift.t().index_select(1, batch)

    def visibility(self, points: Tensor, batch: Tensor, softness: Tensor) -> Tensor:
        """Visible fraction of the light, in [0, 1], by percentage-closer filtering with four samples.

        Args:
            points: of :meth:`project`, offset from their surface by ``NORMAL_OFFSET`` along the normal.
            softness: radius of the filter.

        Shapes:
            points: (3, N); batch: (N,); softness: (B, 1) cells; returns (N,).
        """
        u, v, depth = points
        depth = depth - _DEPTH_BIAS
        flat, base = self.depth.flatten(), batch * (MAP_SIZE * MAP_SIZE)
        radius = softness[:, 0].index_select(0, batch) * 0.5
        visibility = torch.zeros_like(depth)
        for du, dv in ((-1, -0.4), (0.4, -1), (1, 0.4), (-0.4, 1)):
            column = (u + du * radius).round().clamp(0, MAP_SIZE - 1)
            row = (v + dv * radius).round().clamp(0, MAP_SIZE - 1)
            visibility += flat.index_select(0, base + (row * MAP_SIZE + column).long()) > depth
        return visibility * 0.25


def background_shadow(covered: Tensor, direction: Tensor, rng: CounterRng) -> Tensor:
    """Remaining light on the background: the silhouette of the hands, shifted away from the light and blurred.

    A plausible approximation, as backgrounds have no geometry; many images have no such shadow.

    Args:
        covered: mask of hands and arms. direction: unit vector towards the light, camera frame.

    Shapes:
        covered: (B, H, W) float; direction: (B, 3); returns (B, 1, H, W) in [0, 1].
    """
    height, width = covered.shape[1:]
    silhouette = F.avg_pool2d(covered[:, None], _DOWNSAMPLING, ceil_mode=True)
    radius = max(1, min(silhouette.shape[2:]) // 24)
    for _ in range(2):
        silhouette = F.avg_pool2d(silhouette, 2 * radius + 1, stride=1, padding=radius)
    distance = rng.uniform("shadow/reach", 1, high=0.35)
    shift = direction[:, :2] * distance  # in half image sizes; the lookup is towards the light
    scale = rng.uniform("shadow/scale", 1, low=0.9, high=1.1)
    affine = torch.cat([torch.diag_embed(scale.expand(-1, 2)), shift[..., None]], 2)
    grid = F.affine_grid(affine, list(silhouette.shape), align_corners=False)
    shadow = F.grid_sample(silhouette, grid, align_corners=False)
    strength = rng.uniform("shadow/on_background", 1, low=-0.5, high=0.75).clamp_min(0)
    shadow = F.interpolate(shadow, size=(height, width), mode="bilinear", align_corners=False)
    return 1 - strength[..., None, None] * shadow
