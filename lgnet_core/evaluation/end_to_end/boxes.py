"""Boxes around hands, and which of two sets of boxes are of the same hands. Pixels; left, top, right, bottom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lgnet_core.geometry.camera import box_of_points
from lgnet_core.types import FloatArray

AT_ITS_PLACE = 0.3
"""Intersection over union from which on two boxes are of the same hand: annotated boxes are rough, and those around
joints are tighter than a hand."""

SKIN = 0.05
"""How far a hand reaches beyond the box around its joints on every side, in longer sides of that box."""


def skin_box(joints_2d: FloatArray) -> FloatArray:
    """(4,) box of a whole hand, by its joints (21, 2)."""
    box = box_of_points(joints_2d)
    margin = SKIN * length(box)
    return box + np.array([-margin, -margin, margin, margin])


def length(box: FloatArray) -> float:
    """The longer side of a box (4,), pixels."""
    return float(max(box[2] - box[0], box[3] - box[1]))


def iou(a: FloatArray, b: FloatArray) -> float:
    """Intersection over union of two boxes (4,), 0 to 1."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    union = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - shared
    return shared / union if union > 0 else 0.0


def match(boxes: Sequence[FloatArray], others: Sequence[FloatArray], least: float) -> list[tuple[int, int]]:
    """Pairs of the same hands, each box in one pair at most: the highest intersection over union first.

    Args:
        least: intersection over union of a pair.
    """
    overlaps = sorted(
        ((-iou(a, b), i, j) for i, a in enumerate(boxes) for j, b in enumerate(others) if iou(a, b) >= least)
    )
    pairs: list[tuple[int, int]] = []
    for _, i, j in overlaps:
        if all(i != first and j != second for first, second in pairs):
            pairs.append((i, j))
    return pairs
