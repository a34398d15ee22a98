"""Percentage of correct keypoints (PCK) and the area under its curve."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from lgnet_core.evaluation.metrics.alignment import WRIST_RAW, Alignment
from lgnet_core.evaluation.metrics.errors import mean_of_columns
from lgnet_core.types import NUM_KEYPOINTS

MAX_THRESHOLD, NUM_THRESHOLDS = 50.0, 200  # millimetres; as in InterShape's evaluation


def thresholds() -> Tensor:
    """(200,) millimetres, 0 to 50."""
    return torch.linspace(0, MAX_THRESHOLD, NUM_THRESHOLDS, dtype=torch.float64)


class PCK(Metric):
    """Percentage of correct keypoints: fraction of errors up to each threshold, averaged over the joints.

    Args:
        alignment: of the predicted with the true hand.

    Returns:
        (200,) in [0, 1], at :func:`thresholds`; NaN if no joint was counted.
    """

    full_state_update = False
    within: Tensor
    count: Tensor

    def __init__(self, alignment: Alignment = WRIST_RAW, **settings: Any) -> None:
        super().__init__(**settings)
        self.alignment = alignment
        self.add_state("within", torch.zeros(NUM_KEYPOINTS, NUM_THRESHOLDS, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros(NUM_KEYPOINTS, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, joints: Tensor, true_joints: Tensor, mask: Tensor) -> None:
        """Shapes: joints, true_joints: (..., 21, 3) metres; mask: (...) hands, or (..., 21) joints, bool."""
        errors = self.alignment.errors(joints, joints, true_joints, true_joints)
        mask = (mask[..., None] if mask.ndim < errors.ndim else mask).expand_as(errors).reshape(-1, NUM_KEYPOINTS)
        correct = errors.reshape(-1, NUM_KEYPOINTS, 1) <= thresholds().to(errors.device)
        self.within += (correct & mask[..., None]).sum(0)
        self.count += mask.sum(0)

    def compute(self) -> Tensor:
        return mean_of_columns(self.within.double(), self.count)


def area_under_curve(curve: Tensor) -> Tensor:
    """AUC 0-50 mm in [0, 1], trapezoidal rule over :func:`thresholds`: about 1 - E[min(e, 50 mm)] / 50 mm."""
    return torch.trapezoid(curve, thresholds().to(curve)) / MAX_THRESHOLD
