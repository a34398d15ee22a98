"""How well regions are found, as a torchmetrics metric."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from lgnet_core.network.region_net import REGION_IMAGE_SIZE, REGION_THRESHOLD, RegionBoxes

MATCH = 0.5
"""Intersection over union from which on a box is right."""
LARGE = 0.1
"""Of the picture's longer side: hands from this size on are counted apart."""


class RegionFigures(Metric):
    """Recall, precision and mean intersection over union of regions, of all and of those with large hands.

    A region is found if a reported box covers it with an IoU of :data:`MATCH`. It is large if its smaller hand is
    longer than :data:`LARGE` of the picture; a reported box is large if its longer side is. A large box is right
    whichever region it covers.

    Args:
        threshold: confidence from which on a box counts as reported.
    """

    full_state_update = False
    counts: Tensor
    iou: Tensor

    def __init__(self, threshold: float = REGION_THRESHOLD, **settings: Any) -> None:
        super().__init__(**settings)
        self.threshold = threshold
        # there, found, reported, right: of all, of large ones
        self.add_state("counts", torch.zeros(2, 4, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("iou", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, found: RegionBoxes, boxes: Tensor, presence: Tensor, hand: Tensor) -> None:
        """Add pictures.

        Args:
            boxes: of the true regions; presence: which of them are there; hand: the longer side of the smaller hand.
                Pixels of the letter-boxed picture, as those of ``found``.

        Shapes:
            boxes: (N, 2, 4); presence: (N, 2) bool; hand: (N, 2).
        """
        said, box, true = found.scores > self.threshold, found.boxes[:, :, None], boxes[:, None]
        common = (torch.minimum(box[..., 2:], true[..., 2:]) - torch.maximum(box[..., :2], true[..., :2])).clamp_min(0)
        common = common.prod(-1)  # (N, 2 found, 2 true)
        union = (box[..., 2:] - box[..., :2]).prod(-1) + (true[..., 2:] - true[..., :2]).prod(-1) - common
        iou = common / union.clamp_min(1e-6) * (said[:, :, None] & presence[:, None])
        hit = iou.amax(1)  # boxes that were found do not overlap, so none of them finds two regions
        right = iou.amax(2) >= MATCH
        large = hand >= LARGE * REGION_IMAGE_SIZE
        large_box = (found.boxes[..., 2:] - found.boxes[..., :2]).amax(-1) >= LARGE * REGION_IMAGE_SIZE
        for row, (region, reported) in enumerate(((presence, said), (presence & large, said & large_box))):
            self.counts[row] += torch.stack(
                [region.sum(), (region & (hit >= MATCH)).sum(), reported.sum(), (reported & right).sum()]
            )
        self.iou += hit[hit >= MATCH].double().sum()

    def compute(self) -> dict[str, Tensor]:
        """Parts of 1; NaN where nothing counts."""
        there, found, reported, right = self.counts.double().unbind(1)
        recall, precision = found / there, right / reported
        return {
            "recall": recall[0],
            "precision": precision[0],
            "recall of large": recall[1],
            "precision of large": precision[1],
            "iou": self.iou / found[0],
        }
