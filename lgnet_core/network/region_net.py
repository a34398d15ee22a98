r"""A small detector: for each side, where on the whole picture its hand is. Input letter-boxed to a square.

Anchor-free, one object per side: a map of centre logits and, in each cell, the distances from the cell's centre to the
four sides of the hand's box. Trunk: EfficientNet-Lite0 up to stride 16 (112 channels), joined with its stride-8 map.

Sources: Zhou et al. 2019, "Objects as Points" (centre maps and their focal loss); Tian et al. 2019, FCOS (distances).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_core.camera import grid_to_pixels, pixels_to_grid
from lgnet_core.network.backbone import EfficientNetLite0

STRIDE = 8
REGION_IMAGE_SIZE = 160
"""Side of the letter-boxed picture, pixels."""

_STRIDE_8_BLOCKS, _STRIDE_16_BLOCKS = 5, 11
_PRIOR_LOGIT = -4.0  # a hand's centre is rare: start near its frequency


class RegionMaps(NamedTuple):
    """What the network says of each cell; the side axis is the anatomical :class:`~lgnet_core.types.Side`.

    Shapes:
        centre_logits: (B, 2, G, G); distances: (B, 2, 4, G, G) to left, top, right, bottom, in parts of the picture's
        side; G = S / 8.
    """

    centre_logits: Tensor
    distances: Tensor


class RegionNet(nn.Module):
    """Shapes: image (B, 3, S, S) in [0, 1], S a multiple of 16 -> :class:`RegionMaps`.

    Args:
        backbone: gives its first blocks; pass one with ImageNet weights to start training from them.
        channels: of the joined map.
    """

    def __init__(self, backbone: EfficientNetLite0 | None = None, channels: int = 96) -> None:
        super().__init__()
        self.channels = channels
        backbone = EfficientNetLite0() if backbone is None else backbone
        self.normalise = backbone.normalise
        self.stem, self.stem_norm = backbone.stem, backbone.stem_norm
        self.blocks = backbone.blocks[:_STRIDE_16_BLOCKS]
        self.lateral = nn.Conv2d(40, channels, 1)
        self.top = nn.Conv2d(112, channels, 1)
        self.mix = nn.Sequential(*(_separable(channels) for _ in range(3)))
        self.centre = nn.Conv2d(channels, 2, 1)
        self.distance = nn.Conv2d(channels, 8, 1)
        self.centre.bias = nn.Parameter(torch.full((2,), _PRIOR_LOGIT))

    def forward(self, image: Tensor) -> RegionMaps:
        x = F.relu6(self.stem_norm(self.stem(self.normalise(image))))
        for block in self.blocks[:_STRIDE_8_BLOCKS]:
            x = block(x)
        fine = x
        for block in self.blocks[_STRIDE_8_BLOCKS:]:
            x = block(x)
        top = F.interpolate(self.top(x), scale_factor=2.0, mode="nearest")
        x = self.mix(F.relu(self.lateral(fine) + top))
        return RegionMaps(self.centre(x), F.softplus(self.distance(x)).unflatten(1, (2, 4)))


def _separable(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 5, padding=2, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


class RegionBoxes(NamedTuple):
    """The best box of each side. Shapes: scores (B, 2) in [0, 1]; boxes (B, 2, 4) left, top, right, bottom, pixels."""

    scores: Tensor
    boxes: Tensor


def decode_regions(maps: RegionMaps) -> RegionBoxes:
    """Each side's box at its highest centre, in pixels of the letter-boxed picture."""
    batch, sides, _, width = maps.centre_logits.shape
    best = maps.centre_logits.flatten(2).argmax(2)  # (B, 2)
    scores = maps.centre_logits.flatten(2).gather(2, best[..., None])[..., 0].sigmoid()
    index = best[..., None, None].expand(batch, sides, 4, 1)
    distances = maps.distances.flatten(3).gather(3, index)[..., 0] * (width * STRIDE)
    cells = torch.stack([best % width, best // width], -1).to(distances.dtype)
    centre = grid_to_pixels(cells, width * STRIDE, width)
    return RegionBoxes(scores, torch.cat([centre - distances[..., :2], centre + distances[..., 2:]], -1))


def region_loss(maps: RegionMaps, boxes: Tensor, presence: Tensor) -> tuple[Tensor, Tensor]:
    r"""Focal loss of the centres and generalised-IoU loss of the boxes around them.

    The centre's target is a Gaussian whose standard deviation is a tenth of the box's sides (at least 0.7 cells);
    the focal loss (alpha 2, beta 4) is divided by the number of hands. Boxes count where that Gaussian exceeds 0.6.

    Args:
        boxes: of the hands, pixels of the letter-boxed picture.
        presence: which of them are there.

    Shapes:
        boxes: (B, 2, 4); presence: (B, 2) bool; returns two scalars.
    """
    logits, distances = maps
    size = logits.shape[-1]
    image_size = size * STRIDE
    cells = torch.arange(size, device=logits.device, dtype=logits.dtype)
    centre = pixels_to_grid((boxes[..., :2] + boxes[..., 2:]) / 2, image_size, size)
    sigma = ((boxes[..., 2:] - boxes[..., :2]) / STRIDE / 10).clamp_min(0.7)
    fall_x = ((cells - centre[..., :1].round()) / sigma[..., :1]) ** 2  # (B, 2, G)
    fall_y = ((cells - centre[..., 1:].round()) / sigma[..., 1:]) ** 2
    target = torch.exp(-(fall_y[..., :, None] + fall_x[..., None, :]) / 2) * presence[..., None, None]

    probability = logits.sigmoid()
    positive = (target > 0.999).to(logits.dtype)
    hit = positive * (1 - probability) ** 2 * F.logsigmoid(logits)
    miss = (1 - positive) * (1 - target) ** 4 * probability**2 * F.logsigmoid(-logits)
    hands = presence.sum().clamp_min(1)
    centre_loss = -(hit + miss).sum() / hands

    points = grid_to_pixels(cells, image_size, size)
    v, u = torch.meshgrid(points, points, indexing="ij")
    origin = torch.stack([u, v])  # (2, G, G)
    reach = distances * image_size
    found = torch.cat([origin - reach[:, :, :2], origin + reach[:, :, 2:]], 2)  # (B, 2, 4, G, G)
    weight = target * (target > 0.6)
    overlap = _generalised_iou(found, boxes[..., None, None])
    box_loss = (weight * (1 - overlap)).sum() / weight.sum().clamp_min(1e-6)
    return centre_loss, box_loss


def _generalised_iou(a: Tensor, b: Tensor) -> Tensor:
    """Rezatofighi et al. 2019. Shapes: (B, 2, 4, ...) each -> (B, 2, ...)."""

    def area(box: Tensor) -> Tensor:
        extent = (box[:, :, 2:] - box[:, :, :2]).clamp_min(0)
        return extent[:, :, 0] * extent[:, :, 1]

    low, high = torch.maximum(a[:, :, :2], b[:, :, :2]), torch.minimum(a[:, :, 2:], b[:, :, 2:])
    common = area(torch.cat([low, high], 2))
    union = area(a) + area(b) - common
    low, high = torch.minimum(a[:, :, :2], b[:, :, :2]), torch.maximum(a[:, :, 2:], b[:, :, 2:])
    hull = area(torch.cat([low, high], 2)).clamp_min(1e-6)
    return common / union.clamp_min(1e-6) - (hull - union) / hull
