"""Procedural backgrounds: a plain colour, photograph or texture with boxes, ellipses and table edges in front.

An image is a stack of layers. The topmost layer is determined for each pixel; then the textures of all pixels are
sampled at once, with one gather of layer parameters and one bilinear lookup, independent of the number of layers.
Colours are display colours, modulated by an illumination gradient. Some layers are skin-coloured, as distractors.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from lgnet_core.synthetic.colours import sample_colour, sample_skin_colour
from lgnet_core.synthetic.render.textures import TEXTURE_SIZE, load_photographs, make_noise_textures
from lgnet_core.synthetic.rng import CounterRng

LAYERS = 6
"""The base and up to five shapes on it."""
_BOX, _ELLIPSE, _EDGE = range(3)
PLAIN_COLOUR, PHOTOGRAPH, TEXTURE = range(3)
"""Source of the texture of a surface: a nearly plain colour, a photograph, or noise and regular patterns."""


class SurfaceTextures(NamedTuple):
    """Textures of surfaces with display colours offset + gain * texture.

    Shapes:
        tile: (B, L) int64 index into the atlas; offset, gain: (B, L, 3).
    """

    tile: Tensor
    offset: Tensor
    gain: Tensor


class Backgrounds(torch.nn.Module):
    """Generates backgrounds from bundled photographs and procedural textures."""

    atlas: Tensor

    def __init__(self) -> None:
        super().__init__()
        photos, noise = load_photographs(), make_noise_textures()
        self.photo_count, self.noise_count = len(photos), len(noise)
        atlas = torch.cat([photos, noise]).permute(1, 0, 2, 3).flatten(1, 2)[None]  # (1, 3, T * 256, 256)
        self.register_buffer("atlas", atlas.contiguous(), persistent=False)

    def forward(self, height: int, width: int, rng: CounterRng) -> Tensor:
        """(B, 3, H, W) display colours in [0, 1]."""
        device = rng.device
        short = min(height, width)
        x = ((torch.arange(width, device=device) + 0.5) * 2 - width) / short  # (W,)
        y = ((torch.arange(height, device=device) + 0.5) * 2 - height) / short  # (H,)
        layer, roundness = self._topmost_layer(x[None, None, :], y[None, :, None], rng)
        table = self._layer_parameters(rng)  # (13, B L)

        def parameter(k: int) -> Tensor:  # of the topmost layer at each pixel
            return table[k].index_select(0, layer.flatten()).view_as(layer)

        down = y[:, None]
        u = parameter(0) * x + parameter(1) * down + parameter(2)
        v = parameter(3) * x + parameter(4) * down + parameter(5)
        image = self.sample_texture(u, v, parameter(6))
        light = self._illumination(x, y, rng) * roundness
        for channel in range(3):
            plane = image[:, channel]
            plane.mul_(parameter(10 + channel)).add_(parameter(7 + channel)).mul_(light)
        return image.clamp_(0, 1)

    def sample_texture(self, u: Tensor, v: Tensor, tile: Tensor) -> Tensor:
        """Sample atlas tiles at (u, v), in units of tiles and mirrored beyond the edges.

        Shapes:
            u, v, tile: (B, H, W); returns (B, 3, H, W).
        """
        tiles = self.photo_count + self.noise_count
        grid = torch.empty(*u.shape, 2, device=u.device)
        # |t mod 2 - 1| is a triangle wave, i.e. mirrored repetition; tiles are inset by half a texel.
        inner = (TEXTURE_SIZE - 1) / TEXTURE_SIZE * 2
        grid[..., 0] = (u.remainder(2) - 1).abs_().mul_(inner).add_(1 / TEXTURE_SIZE - 1)
        row = (v.remainder(2) - 1).abs_().mul_(inner / tiles)
        grid[..., 1] = row.add_(tile, alpha=2 / tiles).add_(1 / (TEXTURE_SIZE * tiles) - 1)
        atlas = self.atlas.expand(len(grid), -1, -1, -1)
        return F.grid_sample(atlas, grid, mode="bilinear", align_corners=False)

    def _topmost_layer(self, x: Tensor, y: Tensor, rng: CounterRng) -> tuple[Tensor, Tensor]:
        """Topmost layer at each pixel, image * LAYERS + layer (B, H, W) int64, and the shading of curved shapes."""
        shapes = LAYERS - 1
        clutter = rng.choice("background/crowd", [0.36, 0.24, 0.4], 1)  # none, few, many shapes
        density = torch.tensor([0.0, 0.3, 0.8], device=rng.device)[clutter]
        enabled = rng.uniform("background/exists", shapes) < density
        kind = rng.choice("background/kind", [0.45, 0.35, 0.2], shapes)
        centre = rng.uniform("background/centre", shapes, 2, low=-1.1, high=1.1)
        angle = rng.uniform("background/angle", shapes, high=2 * torch.pi)
        size = rng.uniform("background/size", shapes, 2, low=-2.3, high=0.2).exp()
        # A table edge is the near edge of a box much larger than the image.
        is_edge = (kind == _EDGE)[..., None]
        along = torch.stack([angle.cos(), angle.sin()], -1)
        centre = torch.where(is_edge, centre * 0.7 + 20 * along, centre)
        size = torch.where(is_edge, 20.0, size)
        curvature = rng.uniform("background/round", shapes, high=0.6) * (kind == _ELLIPSE)
        # metric = max(a^2, b^2) + e min(a^2, b^2) is 1 on the border of boxes (e = 0) and ellipses (e = 1)
        parameters = torch.stack(
            [
                along[..., 0] / size[..., 0],
                along[..., 1] / size[..., 0],
                along[..., 0] / size[..., 1],
                along[..., 1] / size[..., 1],
                centre[..., 0],
                centre[..., 1],
                (kind == _ELLIPSE).float(),
                enabled.float(),
            ]
        )[..., None, None]  # (8, B, shapes, 1, 1)
        layer = torch.zeros(len(rng), y.shape[1], x.shape[2], device=rng.device)
        metric = torch.zeros_like(layer)
        for k in range(shapes):
            cos_a, sin_a, cos_b, sin_b, u, v, ellipse, present = parameters[:, :, k]
            dx, dy = x - u, y - v
            a = (cos_a * dx + sin_a * dy).square_()
            b = (cos_b * dy - sin_b * dx).square_()
            inner = torch.maximum(a, b).add_(torch.minimum(a, b).mul_(ellipse))
            inside = inner < present
            layer = torch.where(inside, k + 1.0, layer)
            metric = torch.where(inside, inner, metric)
        first = torch.arange(len(rng), device=rng.device)[:, None, None] * LAYERS
        layer = layer.long().add_(first)
        curvature = F.pad(curvature, (1, 0)).flatten().index_select(0, layer.flatten()).view_as(metric)
        return layer, 1 - curvature * metric

    def _layer_parameters(self, rng: CounterRng) -> Tensor:
        """Layer parameters (13, B L): affine of the texture coordinates (6), tile, colour offset (3) and gain (3)."""
        base = rng.choice("background/base", [0.36, 0.36, 0.28], 1)
        fill = rng.choice("background/fill", [0.25, 0.25, 0.5], LAYERS - 1)
        source = torch.cat([base, fill], 1)
        textures = self.sample_textures(rng, "background", source)

        scale = rng.uniform("background/scale", LAYERS, low=-1.2, high=0.2).exp() / 2
        scale = torch.where(source == PHOTOGRAPH, scale, scale * 2)
        turn = rng.normal("background/turn", LAYERS, std=0.25)
        turn = torch.where(source == PHOTOGRAPH, turn, turn * 20)
        flip = torch.where(rng.bernoulli("background/flip", 0.5, LAYERS), -1.0, 1.0)
        shift = rng.uniform("background/shift", LAYERS, 2)
        cos, sin = turn.cos() * scale, turn.sin() * scale
        affine = torch.stack([cos * flip, -sin, shift[..., 0], sin * flip, cos, shift[..., 1]], -1)

        # Most plain backgrounds are dark.
        dark = rng.uniform("background/dark", 1, low=0.02, high=0.35) * rng.normal(
            "background/dark_tint", 3, mean=1.0, std=0.06
        )
        is_dark = (base == PLAIN_COLOUR) & rng.bernoulli("background/dim", 0.85, 1)
        offset = torch.cat([torch.where(is_dark, dark, textures.offset[:, 0])[:, None], textures.offset[:, 1:]], 1)
        table = torch.cat([affine, textures.tile[..., None].float(), offset, textures.gain], -1)
        return table.flatten(0, 1).t().contiguous()

    def sample_textures(self, rng: CounterRng, name: str, source: Tensor) -> SurfaceTextures:
        """Sample textures of surfaces, some of them skin-coloured.

        Args:
            name: prefix of the stream names. source: (B, L) PLAIN_COLOUR, PHOTOGRAPH or TEXTURE.
        """
        count = source.shape[1]
        photo = rng.uniform(f"{name}/photo", count, high=self.photo_count).long()
        noise = self.photo_count + rng.uniform(f"{name}/noise", count, high=self.noise_count).long()
        plain = sample_colour(rng, f"{name}/colour", count) ** (1 / 2.2)
        skin = sample_skin_colour(rng, f"{name}/skin", count)[0] ** (1 / 2.2)
        skin = skin * rng.uniform(f"{name}/skin_light", count, 1, low=0.5, high=1.1)
        is_photo = (source == PHOTOGRAPH)[..., None]
        is_skin = rng.bernoulli(f"{name}/is_skin", 0.25, count)[..., None] & ~is_photo
        plain = torch.where(is_skin, skin, plain)

        contrast = rng.uniform(f"{name}/contrast", count, 1, high=1.3) * (0.3 + plain)
        contrast = torch.where(is_skin, contrast * 0.15, contrast)
        contrast = torch.where((source == PLAIN_COLOUR)[..., None], contrast * 0.1, contrast)
        tint = (1 + rng.normal(f"{name}/tint", count, 3, std=0.12)) * rng.uniform(
            f"{name}/gain", count, 1, low=0.5, high=1.25
        )
        return SurfaceTextures(
            tile=torch.where(is_photo[..., 0], photo, noise),
            offset=torch.where(is_photo, torch.zeros_like(tint), plain - 0.5 * contrast),
            gain=torch.where(is_photo, tint, contrast),
        )

    def _illumination(self, x: Tensor, y: Tensor, rng: CounterRng) -> Tensor:
        """Illumination (B, H, W): a linear gradient and darkened corners."""
        slope = rng.normal("background/slope", 2, std=0.15)[..., None, None]
        corner = rng.uniform("background/corner", 1, 1, high=0.3) * rng.bernoulli("background/corners", 0.5, 1, 1)
        gradient = 1 + slope[:, 0] * x + slope[:, 1] * y[:, None]
        return (gradient - corner * (x * x + (y * y)[:, None])).clamp_min(0.15)
