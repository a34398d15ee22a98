r"""Backgrounds: a base (studio, photograph, texture) with boxes, ellipses, table edges and skin-coloured things on it.

Each picture is a stack of layers. Every pixel first finds the topmost layer that covers it, then all pixels look up
their layer's texture at once: one gather of the layer's numbers and one bilinear sampling, however many layers.
Colours are display colours: backgrounds need no light but a gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lgnet_core.data.synthetic.appearance import random_colour, skin_colour
from lgnet_core.data.synthetic.random import Draws
from lgnet_core.data.synthetic.textures import TEXTURE_SIZE, noise_textures, photographs

LAYERS = 6
"""The base and up to five things on it."""
_BASE, _BOX, _ELLIPSE, _HALF_PLANE = range(4)
_STUDIO, _PHOTOGRAPH, _TEXTURE = range(3)


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
        """(B, H, W, 3) display colours in [0, 1]."""
        device = draws.device
        short = min(height, width)
        x = ((torch.arange(width, device=device) + 0.5) * 2 - width) / short
        y = ((torch.arange(height, device=device) + 0.5) * 2 - height) / short
        layer, roundness = self._topmost(x[None, None, :], y[None, :, None], draws)

        numbers = self._materials(draws)  # (B, L, 13)
        owner = (layer + torch.arange(len(draws), device=device)[:, None, None] * LAYERS).flatten()
        table = numbers.flatten(0, 1).index_select(0, owner).unflatten(0, layer.shape)
        u = table[..., 0] * x + (table[..., 1] * y[:, None] + table[..., 2])
        v = table[..., 3] * x + (table[..., 4] * y[:, None] + table[..., 5])
        colour = self._sample(u, v, table[..., 6])
        colour = table[..., 7:10] + table[..., 10:13] * colour
        return (colour * (self._illumination(x, y, draws) * roundness)[..., None]).clamp_(0, 1)

    def _sample(self, u: Tensor, v: Tensor, tile: Tensor) -> Tensor:
        """Textures at (u, v) tiles, mirrored beyond their edges; (B, H, W) each, returns (B, H, W, 3)."""
        tiles = self.photo_count + self.noise_count
        u, v = (1 - (t.remainder(2) - 1).abs() for t in (u, v))  # a triangle wave: mirrored repetition
        column = (u * (TEXTURE_SIZE - 1) + 0.5) * (2 / TEXTURE_SIZE) - 1
        row = (v * (TEXTURE_SIZE - 1) + 0.5 + tile * TEXTURE_SIZE) * (2 / (tiles * TEXTURE_SIZE)) - 1
        grid = torch.stack([column, row], -1)
        atlas = self.atlas.expand(len(grid), -1, -1, -1)
        return F.grid_sample(atlas, grid, mode="bilinear", align_corners=False).permute(0, 2, 3, 1)

    def _topmost(self, x: Tensor, y: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """The layer that each pixel shows (B, H, W) int64, and how its roundness dims it."""
        things = LAYERS - 1
        crowd = draws.choice("background/crowd", [0.3, 0.2, 0.5], 1)  # nothing, few, many things
        density = torch.tensor([0.0, 0.3, 0.8], device=draws.device)[crowd]
        exists = draws.uniform("background/exists", things) < density
        kind = 1 + draws.choice("background/kind", [0.45, 0.35, 0.2], things)
        centre = draws.uniform("background/centre", things, 2, low=-1.1, high=1.1)
        angle = draws.uniform("background/angle", things, high=2 * torch.pi)
        size = draws.uniform("background/size", things, 2, low=-2.3, high=0.2).exp()
        curved = draws.uniform("background/round", things, high=0.6) * (kind == _ELLIPSE)
        cos, sin = angle.cos() / size[..., 0], angle.sin() / size[..., 0]
        ratio = size[..., 0] / size[..., 1]
        layer = torch.zeros(len(draws), y.shape[1], x.shape[2], dtype=torch.int64, device=draws.device)
        light = torch.ones_like(layer, dtype=torch.float32)

        def number(values: Tensor, k: int) -> Tensor:
            return values[:, k, None, None]

        for k in range(things):
            c, s, r = number(cos, k), number(sin, k), number(ratio, k)
            dx, dy = x - number(centre[..., 0], k), y - number(centre[..., 1], k)
            a, b = c * dx + s * dy, (c * dy - s * dx) * r
            squared_a, squared_b = a * a, b * b
            metric = torch.where(number(kind, k) == _BOX, torch.maximum(squared_a, squared_b), squared_a + squared_b)
            metric = torch.where(number(kind, k) == _HALF_PLANE, a + 1, metric)
            inside = (metric < 1) & number(exists, k)
            layer = torch.where(inside, k + 1, layer)
            light = torch.where(inside, 1 - number(curved, k) * metric, light)
        return layer, light

    def _materials(self, draws: Draws) -> Tensor:
        """(B, L, 13): texture coordinates' affine (6), tile, colour's offset (3) and gain (3) of each layer."""
        base = draws.choice("background/base", [0.3, 0.3, 0.4], 1)
        fill = draws.choice("background/fill", [0.25, 0.25, 0.5], LAYERS - 1)
        source = torch.cat([base, fill], 1)
        photo = draws.uniform("background/photo", LAYERS, high=self.photo_count).long()
        noise = self.photo_count + draws.uniform("background/noise", LAYERS, high=self.noise_count).long()
        tile = torch.where(source == _PHOTOGRAPH, photo, noise)

        scale = draws.uniform("background/scale", LAYERS, low=-1.6, high=0.1).exp() / 2
        scale = torch.where(source == _PHOTOGRAPH, scale, scale * 2)
        turn = draws.normal("background/turn", LAYERS, std=0.25)
        turn = torch.where(source == _PHOTOGRAPH, turn, turn * 20)
        flip = torch.where(draws.bernoulli("background/flip", 0.5, LAYERS), -1.0, 1.0)
        shift = draws.uniform("background/shift", LAYERS, 2)
        cos, sin = turn.cos() * scale, turn.sin() * scale

        plain = random_colour(draws, "background/colour", LAYERS) ** (1 / 2.2)
        dark = draws.uniform("background/dark", LAYERS, 1, low=0.02, high=0.4) * draws.normal(
            "background/dark_tint", LAYERS, 3, mean=1.0, std=0.06
        )
        studio = (source == _STUDIO)[..., None] & (torch.arange(LAYERS, device=draws.device) == 0)[:, None]
        plain = torch.where(studio & draws.bernoulli("background/dim", 0.7, 1, 1), dark, plain)
        skin = skin_colour(draws, "background/skin", LAYERS)[0] ** (1 / 2.2)
        skin = skin * draws.uniform("background/skin_light", LAYERS, 1, low=0.5, high=1.1)
        is_skin = draws.bernoulli("background/is_skin", 0.25, LAYERS) & (source != _PHOTOGRAPH)
        plain = torch.where(is_skin[..., None], skin, plain)

        contrast = draws.uniform("background/contrast", LAYERS, 1, high=1.3) * (0.3 + plain)
        contrast = torch.where(is_skin[..., None], contrast * 0.15, contrast)
        contrast = torch.where((source == _STUDIO)[..., None], contrast * 0.1, contrast)
        tint = (1 + draws.normal("background/tint", LAYERS, 3, std=0.2)) * draws.uniform(
            "background/gain", LAYERS, 1, low=0.4, high=1.25
        )
        is_photo = (source == _PHOTOGRAPH)[..., None]
        gain = torch.where(is_photo, tint, contrast.expand(-1, -1, 3))
        offset = torch.where(is_photo, torch.zeros_like(tint), plain - 0.5 * contrast)
        affine = torch.stack([cos * flip, -sin, shift[..., 0], sin * flip, cos, shift[..., 1]], -1)
        return torch.cat([affine, tile[..., None].float(), offset, gain], -1)

    def _illumination(self, x: Tensor, y: Tensor, draws: Draws) -> Tensor:
        """(B, H, W) a gradient and darkened corners."""
        slope = draws.normal("background/slope", 2, std=0.15)[..., None, None]
        corner = draws.uniform("background/corner", 1, 1, high=0.3) * draws.bernoulli("background/corners", 0.5, 1, 1)
        falling = 1 + slope[:, 0] * x + slope[:, 1] * y[:, None]
        return (falling - corner * (x * x + (y * y)[:, None])).clamp_min(0.15)
