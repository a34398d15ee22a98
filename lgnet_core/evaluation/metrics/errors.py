"""Errors of hands as torchmetrics, and the only code in this project that measures them.

Every metric adds up sums and counts (in double precision), so that batches, processes and halves of a set give what the
whole set at once gives. A mask says what counts; where nothing does the value is NaN, never 0.

Averaging: each joint's mean over the hands that count, then the mean over the joints (InterNet, InterShape). Where
whole hands count, as in the synthetic sets, that is the mean over all joints of all hands (IntagHand).
"""

from __future__ import annotations

from typing import Any

import roma
import torch
from torch import Tensor
from torchmetrics import Metric

from lgnet_core.evaluation.protocol import MILLIMETRES, WRIST_RAW, Protocol
from lgnet_core.types import NUM_KEYPOINTS

FEWEST_FITTED = 4
"""Joints of a hand below which a best fit says nothing: one or two are always fitted without error."""


def mean_of_columns(total: Tensor, count: Tensor) -> Tensor:
    """Mean over the columns that hold anything of total / count; NaN if none does. Shapes: (C, ...), (C,) -> (...)."""
    seen = count > 0
    shape = (-1, *[1] * (total.ndim - 1))
    return (total[seen] / count[seen].view(shape)).mean(0)


class MaskedMean(Metric):
    """Mean over items, column by column, then over the columns; base of the metrics below.

    Args:
        columns: values that every item has, e.g. 21 joints of a hand.
    """

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, columns: int = 1, **settings: Any) -> None:
        super().__init__(**settings)
        self.add_state("total", torch.zeros(columns, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros(columns, dtype=torch.int64), dist_reduce_fx="sum")

    def accumulate(self, values: Tensor, mask: Tensor) -> None:
        """Add items.

        Shapes:
            values: (..., C); mask: (...) or (..., C) bool.
        """
        mask = (mask[..., None] if mask.ndim < values.ndim else mask).expand_as(values)
        columns = values.shape[-1]
        self.total += torch.where(mask, values, 0).double().reshape(-1, columns).sum(0)
        self.count += mask.reshape(-1, columns).sum(0)

    def update(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError

    def compute(self) -> Tensor:
        """The mean, or NaN."""
        return mean_of_columns(self.total, self.count)


class MPJPE(MaskedMean):
    """Mean per-joint position error, millimetres.

    Args:
        protocol: how the hands are laid over each other. The root counts as one of the 21 joints, with its error of 0,
            as in the published figures.
    """

    def __init__(self, protocol: Protocol = WRIST_RAW, **settings: Any) -> None:
        super().__init__(NUM_KEYPOINTS, **settings)
        self.protocol = protocol

    def update(self, joints: Tensor, true_joints: Tensor, mask: Tensor) -> None:
        """Shapes: joints, true_joints: (..., 21, 3) metres; mask: (...) hands, or (..., 21) joints, bool."""
        self.accumulate(self.protocol.errors(joints, joints, true_joints, true_joints), mask)


class MPVPE(MaskedMean):
    """Mean per-vertex position error, millimetres.

    Args:
        protocol: how the hands are laid over each other; root and bone are those of the joints.
    """

    def __init__(self, protocol: Protocol = WRIST_RAW, **settings: Any) -> None:
        super().__init__(**settings)
        self.protocol = protocol

    def update(
        self, vertices: Tensor, joints: Tensor, true_vertices: Tensor, true_joints: Tensor, mask: Tensor
    ) -> None:
        """Shapes: vertices: (..., V, 3), joints: (..., 21, 3), metres, the true ones alike; mask: (...) hands, bool."""
        errors = self.protocol.errors(vertices, joints, true_vertices, true_joints)
        self.accumulate(errors.mean(-1, keepdim=True), mask)


def procrustes_errors(joints: Tensor, true_joints: Tensor, weights: Tensor | None = None) -> Tensor:
    """Distances in millimetres that remain after the similarity (turn, shift, scale) that fits each hand best.

    Best in least squares, over the joints with a weight; mirror images are no similarity here.

    Shapes:
        joints, true_joints: (..., 21, 3) metres, leading dimensions broadcast; weights: (..., 21); returns (..., 21).

    Source: Umeyama 1991, "Least-squares estimation of transformation parameters between two point patterns".
    """
    joints, true_joints = torch.broadcast_tensors(joints, true_joints)
    turn, shift, scale = roma.rigid_points_registration(joints, true_joints, weights, compute_scaling=True)
    fitted = scale[..., None, None] * (joints @ turn.transpose(-1, -2)) + shift[..., None, :]
    return (fitted - true_joints).norm(dim=-1) * MILLIMETRES


class PAMPJPE(MaskedMean):
    """MPJPE after Procrustes analysis of each hand, millimetres: the error of the hand's shape alone."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(NUM_KEYPOINTS, **settings)

    def update(self, joints: Tensor, true_joints: Tensor, mask: Tensor) -> None:
        """Shapes: joints, true_joints: (..., 21, 3) metres; mask: (...) hands, or (..., 21) joints, bool."""
        mask = (mask[..., None] if mask.ndim < joints.ndim - 1 else mask).expand(joints.shape[:-1])
        hands = mask.sum(-1) >= FEWEST_FITTED
        errors = procrustes_errors(joints[hands], true_joints[hands], mask[hands].to(joints.dtype))
        self.accumulate(errors, mask[hands])


class MeanDistance(MaskedMean):
    """Mean Euclidean distance of points from the true ones.

    Args:
        unit: of the figure over that of the points: 1000 for points in metres and a figure in millimetres.
    """

    def __init__(self, unit: float = 1.0, **settings: Any) -> None:
        super().__init__(**settings)
        self.unit = unit

    def update(self, points: Tensor, true_points: Tensor, mask: Tensor) -> None:
        """Shapes: points, true_points: (..., D); mask: (...) bool."""
        self.accumulate((points - true_points).norm(dim=-1, keepdim=True) * self.unit, mask)


class MRRPE(MeanDistance):
    """Mean relative-root position error, millimetres: of wrist_left - wrist_right, nothing scaled, pairs only.

    Source: InterHand2.6M.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(MILLIMETRES, **settings)


class PlacementError(MaskedMean):
    """Error of the wrist's place in the camera's frame, in per cent of its true depth.

    A single image tells size from distance badly, so the error grows with the depth and is given as a part of it.

    Args:
        depth_only: count the difference of depths alone, not the distance of the wrists.
    """

    def __init__(self, depth_only: bool = False, **settings: Any) -> None:
        super().__init__(**settings)
        self.depth_only = depth_only

    def update(self, wrist: Tensor, true_wrist: Tensor, mask: Tensor) -> None:
        """Shapes: wrist, true_wrist: (..., 3) metres, camera frame; mask: (...) bool."""
        apart = wrist - true_wrist
        error = apart[..., 2:].abs() if self.depth_only else apart.norm(dim=-1, keepdim=True)
        self.accumulate(100 * error / true_wrist[..., 2:], mask)


class PresenceAccuracy(MaskedMean):
    """Share of (image, side) whose presence is told right, at a probability of 0.5."""

    def update(self, logits: Tensor, presence: Tensor) -> None:
        """Shapes: logits: (...); presence: (...) bool."""
        right = (logits > 0) == presence
        self.accumulate(right[..., None].float(), torch.ones_like(presence))
