r"""A small detector: where on the whole picture hands are. Input letter-boxed to a square.

It finds hands, whichever side they are of, and a region is made of them: one box around two hands near each other, a
box each for hands apart. That is what the pose network takes a crop of, and telling sides is left to it, which sees
more of them. Anchor-free: a map of palm logits and, in each cell, the distances from the cell's centre to the four
sides of the box around the hand whose palm is there. Two heads on :class:`~lgnet_core.network.palm_net.PalmNet`; that
of the boxes has blocks of its own, since the palm detector need not know where fingers end.

Sources: Zhou et al. 2019, "Objects as Points" (centre maps and their focal loss); Tian et al. 2019, FCOS (distances).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_core.camera import grid_to_pixels, pixels_to_grid
from lgnet_core.network.palm_net import PalmBlock, PalmNet

STRIDE = 8
HAND_COUNT = 2
"""Hands a picture can have, and so regions."""
REGION_IMAGE_SIZE = 256
"""Side of the letter-boxed picture, pixels."""
REACH_UNIT = 192.0
"""Pixels that a distance of 1 stands for: fixed, so that the same weights fit pictures of any size."""

REGION_THRESHOLD = 0.25
"""Confidence from which on a hand is reported."""
SAME_HAND = 0.5
"""Intersection over union from which on two boxes are of one hand."""

_PRIOR_LOGIT = -4.0  # a palm is rare: start near its frequency


class RegionMaps(NamedTuple):
    """What the network says of each cell.

    Shapes:
        palm_logits: (B, G, G); distances: (B, 4, G, G) to left, top, right, bottom, in units of
        :data:`REACH_UNIT`; G = S / 8.
    """

    palm_logits: Tensor
    distances: Tensor


class RegionNet(nn.Module):
    """Shapes: image (B, 3, S, S) in [0, 1], S a multiple of 32 -> :class:`RegionMaps`.

    Args:
        body: pass one with MediaPipe's weights to start training from them.
    """

    def __init__(self, body: PalmNet | None = None) -> None:
        super().__init__()
        self.body = PalmNet() if body is None else body
        channels = self.body.channels
        self.palm = nn.Conv2d(channels, 1, 1)
        self.reach = nn.Sequential(PalmBlock(channels, channels), PalmBlock(channels, channels))
        self.distance = nn.Conv2d(channels, 4, 1)
        self.palm.bias = nn.Parameter(torch.full((1,), _PRIOR_LOGIT))

    def forward(self, image: Tensor) -> RegionMaps:
        x = self.body(image)
        return RegionMaps(self.palm(x)[:, 0], F.softplus(self.distance(self.reach(x))))


class Boxes(NamedTuple):
    """What was found, the better first. Shapes: scores (B, N) in [0, 1]; boxes (B, N, 4) left, top, right, bottom."""

    scores: Tensor
    boxes: Tensor


def decode_hands(maps: RegionMaps, count: int = HAND_COUNT) -> Boxes:
    """The box at the highest palm, then the one at the highest palm elsewhere that is not nearly the same box, and so
    on: ``count`` of them.

    Pixels are those of the letter-boxed picture.
    """
    logits, distances = maps
    points = _cell_centres(logits)  # (2, G, G)
    reach = distances * REACH_UNIT
    all_boxes = torch.cat([points - reach[:, :2], points + reach[:, 2:]], 1).flatten(2)  # (B, 4, GG)
    peak = logits == F.max_pool2d(logits[:, None], 3, stride=1, padding=1)[:, 0]
    left = logits.masked_fill(~peak, -torch.inf).flatten(1)
    scores, boxes = [], []
    for _ in range(count):
        best = left.argmax(1, keepdim=True)  # (B, 1)
        box = all_boxes.gather(2, best[:, None].expand(-1, 4, 1))  # (B, 4, 1)
        scores.append(left.gather(1, best)[:, 0].sigmoid())
        boxes.append(box[..., 0])
        left = left.masked_fill(overlap(all_boxes, box) >= SAME_HAND, -torch.inf)
        left = left.scatter(1, best, -torch.inf)
    return Boxes(torch.stack(scores, 1), torch.stack(boxes, 1))


def region_loss(maps: RegionMaps, palms: Tensor, boxes: Tensor, presence: Tensor) -> tuple[Tensor, Tensor]:
    r"""Focal loss of the palms and generalised-IoU loss of the boxes around their hands.

    The palm's target is a Gaussian whose standard deviation is a tenth of the box's sides (at least 0.7 cells);
    the focal loss (alpha 2, beta 4) is divided by the number of hands. Boxes count where that Gaussian exceeds 0.6.

    Args:
        palms: middle of each hand's palm, and boxes: around each hand, pixels of the letter-boxed picture.
        presence: which of them are there.

    Shapes:
        palms: (B, 2, 2); boxes: (B, 2, 4); presence: (B, 2) bool; returns two scalars.
    """
    logits, distances = maps
    size = logits.shape[-1]
    image_size = size * STRIDE
    cells = torch.arange(size, device=logits.device, dtype=logits.dtype)
    centre = pixels_to_grid(palms, image_size, size)
    sigma = ((boxes[..., 2:] - boxes[..., :2]) / STRIDE / 10).clamp_min(0.7)
    fall_x = ((cells - centre[..., :1].round()) / sigma[..., :1]) ** 2  # (B, 2, G)
    fall_y = ((cells - centre[..., 1:].round()) / sigma[..., 1:]) ** 2
    falls = torch.exp(-(fall_y[..., :, None] + fall_x[..., None, :]) / 2) * presence[..., None, None]
    target, nearest = falls.max(1)  # (B, G, G): each cell belongs to the hand whose palm it is nearer to

    probability = logits.sigmoid()
    positive = (target > 0.999).to(logits.dtype)
    hit = positive * (1 - probability) ** 2 * F.logsigmoid(logits)
    miss = (1 - positive) * (1 - target) ** 4 * probability**2 * F.logsigmoid(-logits)
    palm_loss = -(hit + miss).sum() / presence.sum().clamp_min(1)

    origin = _cell_centres(logits)
    reach = distances * REACH_UNIT
    found = torch.cat([origin - reach[:, :2], origin + reach[:, 2:]], 1)  # (B, 4, G, G)
    wanted = boxes.gather(1, nearest.flatten(1)[..., None].expand(-1, -1, 4)).transpose(1, 2).view_as(found)
    weight = target * (target > 0.6)
    box_loss = (weight * (1 - _generalised_iou(found, wanted))).sum() / weight.sum().clamp_min(1e-6)
    return palm_loss, box_loss


def _cell_centres(maps: Tensor) -> Tensor:
    """(2, G, G): u and v of each cell's centre, pixels."""
    size = maps.shape[-1]
    cells = torch.arange(size, device=maps.device, dtype=maps.dtype)
    points = grid_to_pixels(cells, size * STRIDE, size)
    v, u = torch.meshgrid(points, points, indexing="ij")
    return torch.stack([u, v])


def _area(box: Tensor) -> Tensor:
    extent = (box[:, 2:] - box[:, :2]).clamp_min(0)
    return extent[:, 0] * extent[:, 1]


def _common_and_union(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    common = _area(torch.cat([torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])], 1))
    return common, _area(a) + _area(b) - common


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union. Shapes: (B, 4, ...) each, broadcast -> (B, ...)."""
    common, union = _common_and_union(a, b)
    return common / union.clamp_min(1e-6)


def _generalised_iou(a: Tensor, b: Tensor) -> Tensor:
    """Rezatofighi et al. 2019. Shapes: (B, 4, ...) each -> (B, ...)."""
    common, union = _common_and_union(a, b)
    hull = _area(torch.cat([torch.minimum(a[:, :2], b[:, :2]), torch.maximum(a[:, 2:], b[:, 2:])], 1)).clamp_min(1e-6)
    return common / union.clamp_min(1e-6) - (hull - union) / hull
