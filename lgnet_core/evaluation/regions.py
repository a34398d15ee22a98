"""How well regions are found, as a torchmetrics metric."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from lgnet_core.data.synthetic.cameras import hands_apart
from lgnet_core.network.region_net import REGION_IMAGE_SIZE, REGION_THRESHOLD, Boxes, overlap

MATCH = 0.5
"""Intersection over union from which on a box is right."""
LARGE = 0.1
"""Of the picture's longer side: hands from this size on are counted apart."""


class RegionFigures(Metric):
    """Recall, precision and mean intersection over union of regions, of all and of those with large hands.

    Hands that are not apart (:func:`~lgnet_core.data.synthetic.cameras.hands_apart`) are one region. A region is found
    if a reported one covers it with an IoU of :data:`MATCH`. It is large if its smaller hand is longer than
    :data:`LARGE` of the picture; a reported one is large if its longer side is. A large reported region is right
    whichever region it covers.

    Args:
        threshold: confidence from which on a hand counts as reported.
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

    def update(self, found: Boxes, boxes: Tensor, presence: Tensor) -> None:
        """Add pictures.

        Args:
            boxes: of the true hands; presence: which of them are there. Pixels of the letter-boxed picture, as those of
                ``found``.

        Shapes:
            boxes: (N, 2, 4); presence: (N, 2) bool.
        """
        limit = LARGE * REGION_IMAGE_SIZE
        true, there, large = _regions(boxes, presence)
        box, said, _ = _regions(found.boxes, found.scores > self.threshold)
        large, large_box = there & (large >= limit), said & ((box[..., 2:] - box[..., :2]).amax(-1) >= limit)
        iou = overlap(box.mT[..., None], true.mT[:, :, None]) * (said[:, :, None] & there[:, None])  # (N, found, true)
        hit = iou.amax(1)  # regions of a picture do not overlap, so none of them finds two
        right = iou.amax(2) >= MATCH
        for row, (region, reported) in enumerate(((there, said), (large, large_box))):
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


def _regions(boxes: Tensor, there: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes of the regions that hands make, which of them are there, and the longer side of the smaller hand in each.

    Shapes:
        boxes: (N, 2, 4) of hands; there: (N, 2) bool; returns (N, 2, 4), (N, 2), (N, 2).
    """
    low, high = boxes[..., :2], boxes[..., 2:]
    together = there.all(1) & ~hands_apart(low, high)
    smaller = (high - low).amax(-1)
    smaller = torch.where(together[:, None], smaller.amin(1, keepdim=True), smaller)
    both = torch.cat([low.amin(1), high.amax(1)], -1)[:, None]
    second = torch.tensor([False, True], device=boxes.device)
    return torch.where(together[:, None, None], both, boxes), there & ~(together[:, None] & second), smaller
