"""F-score of surfaces: how many points of each lie within a distance of the other.

The harmonic mean of precision (predicted points near a true one) and recall (true points near a predicted one), which
compares surfaces with different vertices too.

Sources: Knapitsch et al. 2017, "Tanks and Temples"; with the thresholds of FreiHAND, lmb-freiburg/freihand, eval.py.
"""

from __future__ import annotations

import torch
from torch import Tensor

THRESHOLDS = (0.005, 0.015)
"""Metres."""


def f_scores(points: Tensor, true_points: Tensor) -> Tensor:
    """F-score at each of :data:`THRESHOLDS`; 0 where no point is near another.

    Shapes:
        points: (B, P, 3), true_points: (B, Q, 3), metres; returns (B, 2).
    """
    # Not by the matrix product |a|^2 - 2ab + |b|^2, which loses a tenth of a millimetre far from the origin.
    distances = torch.cdist(points, true_points, compute_mode="donot_use_mm_for_euclid_dist")
    limits = distances.new_tensor(THRESHOLDS)
    precision = (distances.amin(2)[..., None] < limits).to(distances).mean(1)
    recall = (distances.amin(1)[..., None] < limits).to(distances).mean(1)
    return 2 * precision * recall / (precision + recall).clamp_min(torch.finfo(distances.dtype).tiny)
