"""Reported hands made up for tests: 21 joints spread over a box."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lgnet_core.evaluation.reported import ReportedHand
from lgnet_core.types import FloatArray, Side


def hand_in(box: Sequence[float], side: Side = Side.RIGHT) -> ReportedHand:
    """A hand whose joints span a box exactly: along its diagonal, with two at the other corners."""
    corners = np.reshape(np.array(box, float), (2, 2))
    share = np.linspace(0, 1, 21)[:, None]
    joints_2d: FloatArray = corners[0] + share * (corners[1] - corners[0])
    joints_2d[5], joints_2d[17] = [corners[0, 0], corners[1, 1]], [corners[1, 0], corners[0, 1]]
    joints = np.column_stack([joints_2d / 1000, np.full(21, 0.5)])
    return ReportedHand(side, joints_2d, joints, placed=True)
