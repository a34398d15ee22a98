"""Which of the palm detector's anchors shall see which palm.

The rules are the ones that MediaPipe's detector itself was found to follow, on 1,248 moved, turned and scaled views of
real images, the 669 palms with a score above 0.9:

*Box.* Its box is a square around the centre of the axis-parallel box of its seven keypoints (2 % of the side off, one
standard deviation in each axis), its side 1.03 times that box's longer side (within 3.4 % for half of the palms; 0.96
to 1.19 times for nine in ten).

*Anchors.* Those fire whose own square, of a size for each anchor of a cell, has an intersection over union of 0.5 with
the palm's square: their scores fall from 0.9 to 0.1 over a sixth of the palm's size around that limit. The sizes of the
eight kinds of anchors were read off where they begin and cease to fire.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lgnet_core.network.detector.palm_detector import GRIDS, PalmCandidates

BOX_SCALE = 1.03
"""Side of a palm's square over the longer side of the axis-parallel box of its keypoints."""
ANCHOR_SIDES = ((23.5, 35.0), (48.0, 61.0, 75.0, 90.0, 104.0, 118.0))
"""Pixels, of the anchors of a cell of each grid. Palms beyond the smallest and the largest are theirs."""
POSITIVE, NEGATIVE = 0.5, 0.35
"""Intersection over union with a palm from which on an anchor shall fire, and below which it shall not."""
SURE, NONE = 0.5, 0.05
"""Scores of the frozen detector from which on there is a palm, and below which there is none."""


class PalmTargets(NamedTuple):
    """What each anchor of an image shall say. Leading dimensions: any, the images.

    Args:
        scores: probabilities. known: whether the score is asked for. fitted: whether box and keypoints are.

    Shapes:
        scores, known, fitted: (..., 2016); boxes: (..., 2016, 4) left, top, right, bottom and keypoints:
        (..., 2016, 7, 2), pixels of the letterboxed image, finite everywhere.
    """

    scores: Tensor
    known: Tensor
    fitted: Tensor
    boxes: Tensor
    keypoints: Tensor


def palm_boxes(keypoints: Tensor) -> Tensor:
    """The palms' squares. Shapes: (..., 7, 2) -> (..., 4) left, top, right, bottom; pixels."""
    low, high = keypoints.amin(-2), keypoints.amax(-2)
    centre, half = (low + high) / 2, (high - low).amax(-1, keepdim=True) * (BOX_SCALE / 2)
    return torch.cat([centre - half, centre + half], -1)


def anchor_overlap(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Intersection over union of the anchors' squares and the palms', whose sides are kept between the anchors'.

    Shapes:
        boxes: (P, 4); anchors: (2016, 2) centres; returns (2016, P).
    """
    anchor_sides = torch.cat([boxes.new_tensor(sides).repeat(grid**2) for (grid, _), sides in zip(GRIDS, ANCHOR_SIDES)])
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    side = (boxes[:, 2:] - boxes[:, :2]).amax(-1).clamp(min(min(ANCHOR_SIDES)), max(max(ANCHOR_SIDES)))
    reach = (anchor_sides[:, None] + side) / 2
    shared = torch.minimum(anchor_sides[:, None], side)[..., None]
    shared = torch.minimum(shared, reach[..., None] - (anchors[:, None] - centre).abs()).clamp_min(0).prod(-1)
    return shared / (anchor_sides[:, None] ** 2 + side**2 - shared)


def label_palms(keypoints: Tensor, shown: Tensor, anchors: Tensor) -> PalmTargets:
    """Targets of one image whose palms are all known.

    An anchor that overlaps several palms gets the one it overlaps most. Nothing is asked of those near a palm that is
    not shown well, nor of those between :data:`NEGATIVE` and :data:`POSITIVE`.

    Args:
        keypoints: of the palms, also of hidden ones. shown: whether enough of the hand is visible.
        anchors: centres.

    Shapes:
        keypoints: (P, 7, 2) pixels; shown: (P,) bool; anchors: (2016, 2) pixels.
    """
    boxes = palm_boxes(keypoints)
    overlap = anchor_overlap(boxes, anchors)
    if not len(keypoints):
        nothing = torch.zeros(len(anchors), dtype=torch.bool)
        return PalmTargets(
            nothing.float(), ~nothing, nothing, anchors.repeat(1, 2), anchors[:, None].repeat(1, keypoints.shape[1], 1)
        )
    best, palm = torch.where(shown, overlap, -1.0).max(-1)
    positive = best >= POSITIVE
    known = positive | (overlap < NEGATIVE).all(-1)
    return PalmTargets(positive.float(), known, positive, boxes[palm], keypoints[palm])


def label_from_teacher(candidates: PalmCandidates) -> PalmTargets:
    """Targets that are the frozen detector's own candidates, where it is sure of a palm or of none."""
    scores = candidates.logits.sigmoid()
    sure = scores >= SURE
    return PalmTargets(scores, sure | (scores < NONE), sure, candidates.boxes, candidates.keypoints)


def lay_over(below: PalmTargets, above: PalmTargets, cover: Tensor, most_covered: float = 0.15) -> PalmTargets:
    """Targets of an image over which another was laid.

    Anchors that shall see a palm of the upper image see it. Nothing is asked of those with a palm of the lower image
    that is partly covered, and of which nobody knows whether it can still be seen.

    Args:
        cover: how much of the lower image each pixel hides. most_covered: part of a palm's box that may be hidden.

    Shapes:
        of one image; cover: (192, 192) in [0, 1].
    """
    known = below.known & above.known
    for anchor in (below.scores >= NONE).nonzero()[:, 0].tolist():
        left, top, right, bottom = (below.boxes[anchor] + 0.5).round().long().clamp(0, len(cover)).tolist()
        hidden = cover[top:bottom, left:right]
        if not hidden.numel() or float(hidden.mean()) > most_covered:
            known[anchor] = False
    seen = above.fitted
    return PalmTargets(
        scores=torch.where(seen, above.scores, below.scores),
        known=known | seen,
        fitted=seen | (below.fitted & known),
        boxes=torch.where(seen[:, None], above.boxes, below.boxes),
        keypoints=torch.where(seen[:, None, None], above.keypoints, below.keypoints),
    )
