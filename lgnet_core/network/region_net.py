r"""A small detector: where on the whole picture hands are. Input letter-boxed to a square.

It finds regions, not hands: one box around two hands near each other, a box each for hands apart, whichever side they
are of. That is what the pose network takes a crop of, and telling sides is left to it, which sees more of them.
Anchor-free: a map of centre logits and, in each cell, the distances from the cell's centre to the four sides of the
region's box. Trunk: EfficientNet-Lite0 up to stride 16 (112 channels), joined with its stride-8 map.

Sources: Zhou et al. 2019, "Objects as Points" (centre maps and their focal loss); Tian et al. 2019, FCOS (distances).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_core.camera import grid_to_pixels, pixels_to_grid
from lgnet_core.network.backbone import EfficientNetLite0, SameConv2d

STRIDE = 8
REGION_COUNT = 2
"""Regions a picture can have: two hands apart."""
REGION_IMAGE_SIZE = 160
"""Side of the letter-boxed picture, pixels."""

REGION_THRESHOLD = 0.3
"""Confidence from which on a region is reported."""

_PRIOR_LOGIT = -4.0  # a region's centre is rare: start near its frequency


class RegionMaps(NamedTuple):
    """What the network says of each cell.

    Shapes:
        centre_logits: (B, G, G); distances: (B, 4, G, G) to left, top, right, bottom, in parts of the picture's side;
        G = S / 8.
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
        self.blocks = backbone.blocks[: backbone.MIDDLE_BLOCKS]
        fine, middle = backbone.middle_channels
        self.lateral = nn.Conv2d(fine, channels, 1)
        self.top = nn.Conv2d(middle, channels, 1)
        self.mix = nn.Sequential(*(_separable(channels) for _ in range(3)))
        self.centre = nn.Conv2d(channels, 1, 1)
        self.distance = nn.Conv2d(channels, 4, 1)
        self.centre.bias = nn.Parameter(torch.full((1,), _PRIOR_LOGIT))

    def forward(self, image: Tensor) -> RegionMaps:
        x = F.relu6(self.stem_norm(self.stem(self.normalise(image))))
        for block in self.blocks[: EfficientNetLite0.FINE_BLOCKS]:
            x = block(x)
        fine = x
        for block in self.blocks[EfficientNetLite0.FINE_BLOCKS :]:
            x = block(x)
        top = F.interpolate(self.top(x), scale_factor=2.0, mode="nearest")
        x = self.mix(F.relu(self.lateral(fine) + top))
        return RegionMaps(self.centre(x)[:, 0], F.softplus(self.distance(x)))


def _separable(channels: int) -> nn.Sequential:
    return nn.Sequential(
        SameConv2d(channels, channels, 5, groups=channels),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


class RegionBoxes(NamedTuple):
    """The best boxes, the better first. Shapes: scores (B, 2) in [0, 1]; boxes (B, 2, 4) left, top, right, bottom."""

    scores: Tensor
    boxes: Tensor


def decode_regions(maps: RegionMaps) -> RegionBoxes:
    """The box at the highest centre, then the one at the highest centre outside of it.

    Hands whose boxes overlap share a region. Pixels are those of the letter-boxed picture.
    """
    logits = maps.centre_logits
    points = _cell_centres(logits)  # (2, G, G)
    scores, boxes = [], []
    for _ in range(REGION_COUNT):
        best = logits.flatten(1).argmax(1)  # (B,)
        score = logits.flatten(1).gather(1, best[:, None])[:, 0].sigmoid()
        reach = maps.distances.flatten(2).gather(2, best[:, None, None].expand(-1, 4, 1))[..., 0]
        reach = reach * (logits.shape[-1] * STRIDE)
        centre = points.flatten(1)[:, best].T  # (B, 2)
        box = torch.cat([centre - reach[:, :2], centre + reach[:, 2:]], -1)
        low, high = box[:, :2, None, None], box[:, 2:, None, None]
        logits = logits.masked_fill(((points >= low) & (points <= high)).all(1), -torch.inf)
        scores.append(score)
        boxes.append(box)
    return RegionBoxes(torch.stack(scores, 1), torch.stack(boxes, 1))


def region_loss(maps: RegionMaps, boxes: Tensor, presence: Tensor) -> tuple[Tensor, Tensor]:
    r"""Focal loss of the centres and generalised-IoU loss of the boxes around them.

    The centre's target is a Gaussian whose standard deviation is a tenth of the box's sides (at least 0.7 cells);
    the focal loss (alpha 2, beta 4) is divided by the number of regions. Boxes count where that Gaussian exceeds 0.6.

    Args:
        boxes: of the regions, pixels of the letter-boxed picture.
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
    falls = torch.exp(-(fall_y[..., :, None] + fall_x[..., None, :]) / 2) * presence[..., None, None]
    target, nearest = falls.max(1)  # (B, G, G): each cell belongs to the region whose centre it is nearer to

    probability = logits.sigmoid()
    positive = (target > 0.999).to(logits.dtype)
    hit = positive * (1 - probability) ** 2 * F.logsigmoid(logits)
    miss = (1 - positive) * (1 - target) ** 4 * probability**2 * F.logsigmoid(-logits)
    centre_loss = -(hit + miss).sum() / presence.sum().clamp_min(1)

    origin = _cell_centres(logits)
    reach = distances * image_size
    found = torch.cat([origin - reach[:, :2], origin + reach[:, 2:]], 1)  # (B, 4, G, G)
    wanted = boxes.gather(1, nearest.flatten(1)[..., None].expand(-1, -1, 4)).transpose(1, 2).view_as(found)
    weight = target * (target > 0.6)
    box_loss = (weight * (1 - _generalised_iou(found, wanted))).sum() / weight.sum().clamp_min(1e-6)
    return centre_loss, box_loss


def _cell_centres(maps: Tensor) -> Tensor:
    """(2, G, G): u and v of each cell's centre, pixels."""
    size = maps.shape[-1]
    cells = torch.arange(size, device=maps.device, dtype=maps.dtype)
    points = grid_to_pixels(cells, size * STRIDE, size)
    v, u = torch.meshgrid(points, points, indexing="ij")
    return torch.stack([u, v])


def _generalised_iou(a: Tensor, b: Tensor) -> Tensor:
    """Rezatofighi et al. 2019. Shapes: (B, 4, ...) each -> (B, ...)."""

    def area(box: Tensor) -> Tensor:
        extent = (box[:, 2:] - box[:, :2]).clamp_min(0)
        return extent[:, 0] * extent[:, 1]

    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    common = area(torch.cat([low, high], 1))
    union = area(a) + area(b) - common
    low, high = torch.minimum(a[:, :2], b[:, :2]), torch.maximum(a[:, 2:], b[:, 2:])
    hull = area(torch.cat([low, high], 1)).clamp_min(1e-6)
    return common / union.clamp_min(1e-6) - (hull - union) / hull
