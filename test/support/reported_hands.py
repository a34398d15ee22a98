"""Reported hands with 21 joints that span a given box."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lgnet_core.evaluation.end_to_end.reported_hand import ReportedHand
from lgnet_core.types import FloatArray, Side


def hand_in_box(box: Sequence[float], side: Side = Side.RIGHT) -> ReportedHand:
    """A hand whose joints span a box exactly: along its diagonal, with two joints at the other corners."""
    corners = np.reshape(np.array(box, float), (2, 2))
    fraction = np.linspace(0, 1, 21)[:, None]
    joints_2d: FloatArray = corners[0] + fraction * (corners[1] - corners[0])
    joints_2d[5], joints_2d[17] = [corners[0, 0], corners[1, 1]], [corners[1, 0], corners[0, 1]]
    joints = np.column_stack([joints_2d / 1000, np.full(21, 0.5)])
    return ReportedHand(side, joints_2d, joints, placed=True)
