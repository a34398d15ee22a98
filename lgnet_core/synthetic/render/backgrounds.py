r"""Backgrounds: a base (studio, photograph, texture) with boxes, ellipses, table edges and skin-coloured things on it.

Each image is a stack of layers. Every pixel first finds the topmost layer that covers it, then all pixels look up
their layer's texture at once: one gather of the layer's numbers and one bilinear sampling, however many layers.
Colours are display colours: backgrounds need no light but a gradient.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from lgnet_core.synthetic.colours import random_colour, skin_colour
from lgnet_core.synthetic.random import Draws
from lgnet_core.synthetic.render.textures import TEXTURE_SIZE, noise_textures, photographs

LAYERS = 6
"""The base and up to five things on it."""
_BOX, _ELLIPSE, _EDGE = range(3)
STUDIO, PHOTOGRAPH, TEXTURE = range(3)
"""What a surface shows: one colour, a photograph, noise or a pattern."""


class Paints(NamedTuple):
    """Display colours of surfaces: offset + gain * texture.

    Shapes:
        tile: (B, L) int64 of the atlas; offset, gain: (B, L, 3).
    """

    tile: Tensor
    offset: Tensor
    gain: Tensor


class Backgrounds(torch.nn.Module):
    """Draws backgrounds from the bundled photographs and from noise."""

    atlas: Tensor

    def __init__(self) -> None:
        super().__init__()
        photos, noise = photographs(), noise_textures()
        self.photo_count, self.noise_count = len(photos), len(noise)
        atlas = torch.cat([photos, noise]).permute(1, 0, 2, 3).flatten(1, 2)[None]  # (1, 3, T * 256, 256)
        self.register_buffer("atlas", atlas.contiguous(), persistent=False)

    def forward(self, height: int, width: int, draws: Draws) -> Tensor:
        """(B, 3, H, W) display colours in [0, 1]."""
        device = draws.device
        short = min(height, width)
        x = ((torch.arange(width, device=device) + 0.5) * 2 - width) / short  # (W,)
        y = ((torch.arange(height, device=device) + 0.5) * 2 - height) / short  # (H,)
        layer, roundness = self._topmost(x[None, None, :], y[None, :, None], draws)
        table = self._materials(draws)  # (13, B L)

        def number(k: int) -> Tensor:  # of the layer that each pixel shows
            return table[k].index_select(0, layer.flatten()).view_as(layer)

        down = y[:, None]
        u = number(0) * x + number(1) * down + number(2)
        v = number(3) * x + number(4) * down + number(5)
        image = self.sample(u, v, number(6))
        light = self._illumination(x, y, draws) * roundness
        for channel in range(3):
            plane = image[:, channel]
            plane.mul_(number(10 + channel)).add_(number(7 + channel)).mul_(light)
        return image.clamp_(0, 1)

    def sample(self, u: Tensor, v: Tensor, tile: Tensor) -> Tensor:
        """Textures at (u, v) tiles, mirrored beyond their edges; (B, H, W) each, returns (B, 3, H, W)."""
        tiles = self.photo_count + self.noise_count
        grid = torch.empty(*u.shape, 2, device=u.device)
        # |t mod 2 - 1| is a triangle wave: mirrored repetition; half a texel is left at the edges of a tile
        inner = (TEXTURE_SIZE - 1) / TEXTURE_SIZE * 2
        grid[..., 0] = (u.remainder(2) - 1).abs_().mul_(inner).add_(1 / TEXTURE_SIZE - 1)
        row = (v.remainder(2) - 1).abs_().mul_(inner / tiles)
        grid[..., 1] = row.add_(tile, alpha=2 / tiles).add_(1 / (TEXTURE_SIZE * tiles) - 1)
        atlas = self.atlas.expand(len(grid), -1, -1, -1)
        return F.grid_sample(atlas, grid, mode="bilinear", align_corners=False)

    def _topmost(self, x: Tensor, y: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """What each pixel shows, as image * LAYERS + layer (B, H, W) int64, and how its roundness dims it."""
        things = LAYERS - 1
        crowd = draws.choice("background/crowd", [0.36, 0.24, 0.4], 1)  # nothing, few, many things
        density = torch.tensor([0.0, 0.3, 0.8], device=draws.device)[crowd]
        exists = draws.uniform("background/exists", things) < density
        kind = draws.choice("background/kind", [0.45, 0.35, 0.2], things)
        centre = draws.uniform("background/centre", things, 2, low=-1.1, high=1.1)
        angle = draws.uniform("background/angle", things, high=2 * torch.pi)
        size = draws.uniform("background/size", things, 2, low=-2.3, high=0.2).exp()
        # an edge of a table is the near edge of a box much larger than the image
        vast = (kind == _EDGE)[..., None]
        along = torch.stack([angle.cos(), angle.sin()], -1)
        centre = torch.where(vast, centre * 0.7 + 20 * along, centre)
        size = torch.where(vast, 20.0, size)
        curved = draws.uniform("background/round", things, high=0.6) * (kind == _ELLIPSE)
        # metric = max(a^2, b^2) + e min(a^2, b^2) is 1 on the border of a box (e = 0) or of an ellipse (e = 1)
        numbers = torch.stack(
            [
                along[..., 0] / size[..., 0],
                along[..., 1] / size[..., 0],
                along[..., 0] / size[..., 1],
                along[..., 1] / size[..., 1],
                centre[..., 0],
                centre[..., 1],
                (kind == _ELLIPSE).float(),
                exists.float(),
            ]
        )[..., None, None]  # (8, B, things, 1, 1)
        layer = torch.zeros(len(draws), y.shape[1], x.shape[2], device=draws.device)
        metric = torch.zeros_like(layer)
        for k in range(things):
            cos_a, sin_a, cos_b, sin_b, u, v, ellipse, there = numbers[:, :, k]
            dx, dy = x - u, y - v
            a = (cos_a * dx + sin_a * dy).square_()
            b = (cos_b * dy - sin_b * dx).square_()
            inner = torch.maximum(a, b).add_(torch.minimum(a, b).mul_(ellipse))
            inside = inner < there
            layer = torch.where(inside, k + 1.0, layer)
            metric = torch.where(inside, inner, metric)
        first = torch.arange(len(draws), device=draws.device)[:, None, None] * LAYERS
        layer = layer.long().add_(first)
        curved = F.pad(curved, (1, 0)).flatten().index_select(0, layer.flatten()).view_as(metric)
        return layer, 1 - curved * metric

    def _materials(self, draws: Draws) -> Tensor:
        """(13, B L): texture coordinates' affine (6), tile, colour's offset (3) and gain (3) of each layer."""
        base = draws.choice("background/base", [0.36, 0.36, 0.28], 1)
        fill = draws.choice("background/fill", [0.25, 0.25, 0.5], LAYERS - 1)
        source = torch.cat([base, fill], 1)
        paints = self.paints(draws, "background", source)

        scale = draws.uniform("background/scale", LAYERS, low=-1.2, high=0.2).exp() / 2
        scale = torch.where(source == PHOTOGRAPH, scale, scale * 2)
        turn = draws.normal("background/turn", LAYERS, std=0.25)
        turn = torch.where(source == PHOTOGRAPH, turn, turn * 20)
        flip = torch.where(draws.bernoulli("background/flip", 0.5, LAYERS), -1.0, 1.0)
        shift = draws.uniform("background/shift", LAYERS, 2)
        cos, sin = turn.cos() * scale, turn.sin() * scale
        affine = torch.stack([cos * flip, -sin, shift[..., 0], sin * flip, cos, shift[..., 1]], -1)

        # The base of a studio is dark more often than not.
        dark = draws.uniform("background/dark", 1, low=0.02, high=0.35) * draws.normal(
            "background/dark_tint", 3, mean=1.0, std=0.06
        )
        dim = (base == STUDIO) & draws.bernoulli("background/dim", 0.85, 1)
        offset = torch.cat([torch.where(dim, dark, paints.offset[:, 0])[:, None], paints.offset[:, 1:]], 1)
        table = torch.cat([affine, paints.tile[..., None].float(), offset, paints.gain], -1)
        return table.flatten(0, 1).t().contiguous()

    def paints(self, draws: Draws, name: str, source: Tensor) -> Paints:
        """What surfaces are painted with, some of it skin.

        Args:
            name: prefix of the draws' names. source: (B, L) STUDIO, PHOTOGRAPH or TEXTURE.
        """
        count = source.shape[1]
        photo = draws.uniform(f"{name}/photo", count, high=self.photo_count).long()
        noise = self.photo_count + draws.uniform(f"{name}/noise", count, high=self.noise_count).long()
        plain = random_colour(draws, f"{name}/colour", count) ** (1 / 2.2)
        skin = skin_colour(draws, f"{name}/skin", count)[0] ** (1 / 2.2)
        skin = skin * draws.uniform(f"{name}/skin_light", count, 1, low=0.5, high=1.1)
        is_photo = (source == PHOTOGRAPH)[..., None]
        is_skin = draws.bernoulli(f"{name}/is_skin", 0.25, count)[..., None] & ~is_photo
        plain = torch.where(is_skin, skin, plain)

        contrast = draws.uniform(f"{name}/contrast", count, 1, high=1.3) * (0.3 + plain)
        contrast = torch.where(is_skin, contrast * 0.15, contrast)
        contrast = torch.where((source == STUDIO)[..., None], contrast * 0.1, contrast)
        tint = (1 + draws.normal(f"{name}/tint", count, 3, std=0.12)) * draws.uniform(
            f"{name}/gain", count, 1, low=0.5, high=1.25
        )
        return Paints(
            tile=torch.where(is_photo[..., 0], photo, noise),
            offset=torch.where(is_photo, torch.zeros_like(tint), plain - 0.5 * contrast),
            gain=torch.where(is_photo, tint, contrast),
        )

    def _illumination(self, x: Tensor, y: Tensor, draws: Draws) -> Tensor:
        """(B, H, W) a gradient and darkened corners."""
        slope = draws.normal("background/slope", 2, std=0.15)[..., None, None]
        corner = draws.uniform("background/corner", 1, 1, high=0.3) * draws.bernoulli("background/corners", 0.5, 1, 1)
        falling = 1 + slope[:, 0] * x + slope[:, 1] * y[:, None]
        return (falling - corner * (x * x + (y * y)[:, None])).clamp_min(0.15)
