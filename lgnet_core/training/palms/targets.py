"""Target assignment of the palm detector: scores, boxes and keypoints of its anchors.

The rules reproduce those of MediaPipe's detector, as measured on 1,248 shifted, rotated and scaled views of real images
with 669 palms of a score above 0.9:

*Box.* The box is a square centred on the axis-aligned bounding box of the seven keypoints (standard deviation 2 % of
the side in each axis). Its side is 1.03 times the longer side of that bounding box (within 3.4 % for half of the palms;
0.96 to 1.19 times for 90 %).

*Anchors.* An anchor is positive if its own square, whose size depends on the kind of anchor, has an intersection over
union (IoU) of 0.5 with the palm's square: the scores fall from 0.9 to 0.1 within a sixth of the palm's size around this
threshold. The sizes of the eight kinds of anchors were determined from the palm sizes at which they start and stop to
respond.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lgnet_core.network.detector.palm_detector import GRIDS
from lgnet_core.network.prediction import PalmCandidates

BOX_SCALE = 1.03
"""Side of a palm's square over the longer side of the axis-aligned bounding box of its keypoints."""
ANCHOR_SIDES = ((23.5, 35.0), (48.0, 61.0, 75.0, 90.0, 104.0, 118.0))
"""Sides of the anchors in a cell of each grid, pixels; palms beyond this range use the smallest or largest anchors."""
POSITIVE_IOU, NEGATIVE_IOU = 0.5, 0.35
"""IoU with a palm from which an anchor is positive, and below which it is negative; in between it is ignored."""
POSITIVE_SCORE, NEGATIVE_SCORE = 0.5, 0.05
"""Teacher scores from which an anchor is positive, and below which it is negative; in between it is ignored."""


class PalmTargets(NamedTuple):
    """Targets of all anchors; leading dimensions are those of the images.

    Args:
        scores: target probabilities.
        score_mask: anchors with a score target.
        positive: anchors with box and keypoint targets.

    Shapes:
        scores, score_mask, positive: (..., 2016); boxes: (..., 2016, 4) left, top, right, bottom and keypoints:
        (..., 2016, 7, 2), pixels of the letterboxed image, finite everywhere.
    """

    scores: Tensor
    score_mask: Tensor
    positive: Tensor
    boxes: Tensor
    keypoints: Tensor


def palm_boxes(keypoints: Tensor) -> Tensor:
    """Squares of palms. Shapes: (..., 7, 2) -> (..., 4) left, top, right, bottom; pixels."""
    low, high = keypoints.amin(-2), keypoints.amax(-2)
    centre, half = (low + high) / 2, (high - low).amax(-1, keepdim=True) * (BOX_SCALE / 2)
    return torch.cat([centre - half, centre + half], -1)


def anchor_iou(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Intersection over union of the anchors' and the palms' squares, the latter clamped to the anchors' size range.

    Shapes:
        boxes: (P, 4); anchors: (2016, 2) centres; returns (2016, P).
    """
    anchor_sides = torch.cat([boxes.new_tensor(sides).repeat(grid**2) for (grid, _), sides in zip(GRIDS, ANCHOR_SIDES)])
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    side = (boxes[:, 2:] - boxes[:, :2]).amax(-1).clamp(min(min(ANCHOR_SIDES)), max(max(ANCHOR_SIDES)))
    half_sum = (anchor_sides[:, None] + side) / 2
    intersection = torch.minimum(anchor_sides[:, None], side)[..., None]
    distance = (anchors[:, None] - centre).abs()
    intersection = torch.minimum(intersection, half_sum[..., None] - distance).clamp_min(0).prod(-1)
    return intersection / (anchor_sides[:, None] ** 2 + side**2 - intersection)


def assign_targets(keypoints: Tensor, visible: Tensor, anchors: Tensor) -> PalmTargets:
    """Targets of one image with known palms.

    An anchor that overlaps several palms is assigned to the one with the highest IoU. Anchors near a palm that is not
    visible, and those with an IoU between :data:`NEGATIVE_IOU` and :data:`POSITIVE_IOU`, are ignored.

    Args:
        keypoints: all palms, including occluded ones.
        visible: whether enough of the hand is visible.
        anchors: centres of the anchors.

    Shapes:
        keypoints: (P, 7, 2) pixels; visible: (P,) bool; anchors: (2016, 2) pixels.
    """
    boxes = palm_boxes(keypoints)
    iou = anchor_iou(boxes, anchors)
    if not len(keypoints):
        none = torch.zeros(len(anchors), dtype=torch.bool)
        return PalmTargets(
            none.float(), ~none, none, anchors.repeat(1, 2), anchors[:, None].repeat(1, keypoints.shape[1], 1)
        )
    best, palm = torch.where(visible, iou, -1.0).max(-1)
    positive = best >= POSITIVE_IOU
    score_mask = positive | (iou < NEGATIVE_IOU).all(-1)
    return PalmTargets(positive.float(), score_mask, positive, boxes[palm], keypoints[palm])


def label_from_teacher(candidates: PalmCandidates) -> PalmTargets:
    """Pseudo-label targets: the teacher's own candidates where it is confident."""
    scores = candidates.logits.sigmoid()
    positive = scores >= POSITIVE_SCORE
    return PalmTargets(scores, positive | (scores < NEGATIVE_SCORE), positive, candidates.boxes, candidates.keypoints)


def composite_targets(
    background: PalmTargets, foreground: PalmTargets, alpha: Tensor, max_covered: float = 0.15
) -> PalmTargets:
    """Targets of a foreground image composited over a background image.

    Positive anchors of the foreground stay positive. Anchors of partly covered background palms are ignored, because
    it is unknown whether these are still recognisable.

    Args:
        alpha: opacity of the foreground.
        max_covered: maximum covered fraction of the box of a palm that counts as uncovered.

    Shapes:
        targets of one image; alpha: (192, 192) in [0, 1].
    """
    score_mask = background.score_mask & foreground.score_mask
    for anchor in (background.scores >= NEGATIVE_SCORE).nonzero()[:, 0].tolist():
        left, top, right, bottom = (background.boxes[anchor] + 0.5).round().long().clamp(0, len(alpha)).tolist()
        covered = alpha[top:bottom, left:right]
        if not covered.numel() or float(covered.mean()) > max_covered:
            score_mask[anchor] = False
    above = foreground.positive
    return PalmTargets(
        scores=torch.where(above, foreground.scores, background.scores),
        score_mask=score_mask | above,
        positive=above | (background.positive & score_mask),
        boxes=torch.where(above[:, None], foreground.boxes, background.boxes),
        keypoints=torch.where(above[:, None, None], foreground.keypoints, background.keypoints),
    )
