"""Bounding boxes of hands and their matching by intersection over union (IoU). Pixels; left, top, right, bottom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lgnet_core.geometry.crops import bounding_box
from lgnet_core.types import FloatArray

MATCH_IOU = 0.3
"""Minimum IoU of two boxes of the same hand; low, because annotated boxes are coarse and boxes around joints tighter.
"""

SKIN_MARGIN = 0.05
"""Margin from the box around the joints to that of the whole hand, relative to the longer side of the former."""


def skin_box(joints_2d: FloatArray) -> FloatArray:
    """(4,) box of a whole hand from its joints (21, 2)."""
    box = bounding_box(joints_2d)
    margin = SKIN_MARGIN * longer_side(box)
    return box + np.array([-margin, -margin, margin, margin])


def longer_side(box: FloatArray) -> float:
    """The longer side of a box (4,), pixels."""
    return float(max(box[2] - box[0], box[3] - box[1]))


def iou(a: FloatArray, b: FloatArray) -> float:
    """Intersection over union of two boxes (4,), 0 to 1."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    intersection = float(np.prod(np.maximum(high - low, 0)))
    union = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - intersection
    return intersection / union if union > 0 else 0.0


def match(boxes: Sequence[FloatArray], others: Sequence[FloatArray], min_iou: float) -> list[tuple[int, int]]:
    """Greedy one-to-one matching by decreasing IoU.

    Args:
        min_iou: minimum IoU of a pair.
    """
    overlaps = sorted(
        ((-iou(a, b), i, j) for i, a in enumerate(boxes) for j, b in enumerate(others) if iou(a, b) >= min_iou)
    )
    pairs: list[tuple[int, int]] = []
    for _, i, j in overlaps:
        if all(i != first and j != second for first, second in pairs):
            pairs.append((i, j))
    return pairs
