"""Position errors of hands as torchmetrics (MPJPE, MPVPE, PA-MPJPE, PA-MPVPE, CS-MPJPE, MRRPE, placement, presence).

Every metric accumulates sums and counts in double precision, so the result does not depend on how a data set is split
into batches and processes. A mask selects what is counted; if nothing is, the value is NaN, never 0.

Averaging: the mean of each joint over the counted hands, then the mean over the joints (InterNet, InterShape). Where
all joints of a hand are known, as in synthetic data, that equals the mean over all joints of all hands (IntagHand).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import roma
import torch
from torch import Tensor
from torchmetrics import Metric

from lgnet_core.evaluation.metrics.alignment import MILLIMETRES, WRIST_RAW, Alignment
from lgnet_core.types import NUM_KEYPOINTS

MIN_FITTED_JOINTS = 4
"""Minimum number of joints of a hand for Procrustes alignment: fewer are always fitted almost without error."""


def mean_of_columns(total: Tensor, count: Tensor) -> Tensor:
    """Mean of total / count over the columns with a count; NaN if there are none. Shapes: (C, ...), (C,) -> (...)."""
    counted = count > 0
    shape = (-1, *[1] * (total.ndim - 1))
    return (total[counted] / count[counted].view(shape)).mean(0)


class MaskedMean(Metric):
    """Mean over items for each column, then over the columns; base class of the metrics below.

    Args:
        columns: number of values of each item, e.g. 21 joints of a hand.
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
        alignment: of the predicted with the true hand. The root counts as one of the 21 joints, with an error of 0, as
            in published results.
    """

    def __init__(self, alignment: Alignment = WRIST_RAW, **settings: Any) -> None:
        super().__init__(NUM_KEYPOINTS, **settings)
        self.alignment = alignment

    def update(self, joints: Tensor, true_joints: Tensor, mask: Tensor) -> None:
        """Shapes: joints, true_joints: (..., 21, 3) metres; mask: (...) hands, or (..., 21) joints, bool."""
        self.accumulate(self.alignment.errors(joints, joints, true_joints, true_joints), mask)


class MPVPE(MaskedMean):
    """Mean per-vertex position error, millimetres.

    Args:
        alignment: of the predicted with the true hand, by root and bone of the joints.
    """

    def __init__(self, alignment: Alignment = WRIST_RAW, **settings: Any) -> None:
        super().__init__(**settings)
        self.alignment = alignment

    def update(
        self, vertices: Tensor, joints: Tensor, true_vertices: Tensor, true_joints: Tensor, mask: Tensor
    ) -> None:
        """Shapes: vertices: (..., V, 3), joints: (..., 21, 3) metres, true ones likewise; mask: (...) hands, bool."""
        errors = self.alignment.errors(vertices, joints, true_vertices, true_joints)
        self.accumulate(errors.mean(-1, keepdim=True), mask)


class Similarity(NamedTuple):
    """A similarity transform of points. Shapes: rotation (..., 3, 3), translation (..., 3) metres, scale (...)."""

    rotation: Tensor
    translation: Tensor
    scale: Tensor

    def transform(self, points: Tensor) -> Tensor:
        """Shapes: (..., P, 3) -> (..., P, 3)."""
        return self.scale[..., None, None] * (points @ self.rotation.mT) + self.translation[..., None, :]


def fit_similarity(points: Tensor, true_points: Tensor, weights: Tensor | None = None) -> Similarity:
    """The transform of points that fits others best: weighted least squares, reflections excluded.

    Shapes:
        points, true_points: (..., P, 3), leading dimensions broadcast; weights: (..., P).

    Source: Umeyama 1991, "Least-squares estimation of transformation parameters between two point patterns".
    """
    points, true_points = torch.broadcast_tensors(points, true_points)
    return Similarity(*roma.rigid_points_registration(points, true_points, weights, compute_scaling=True))


def procrustes_errors(points: Tensor, true_points: Tensor, weights: Tensor | None = None) -> Tensor:
    """Distances in millimetres of a hand's joints or vertices after :func:`fit_similarity` of each hand.

    Shapes:
        points, true_points: (..., P, 3) metres, leading dimensions broadcast; weights: (..., P); returns (..., P).
    """
    fitted = fit_similarity(points, true_points, weights).transform(points)
    return (fitted - true_points).norm(dim=-1) * MILLIMETRES


class PAMPJPE(MaskedMean):
    """MPJPE after Procrustes alignment of each hand, millimetres: the error of the hand's articulation alone."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(NUM_KEYPOINTS, **settings)

    def update(self, joints: Tensor, true_joints: Tensor, mask: Tensor) -> None:
        """Shapes: joints, true_joints: (..., 21, 3) metres; mask: (...) hands, or (..., 21) joints, bool."""
        mask = (mask[..., None] if mask.ndim < joints.ndim - 1 else mask).expand(joints.shape[:-1])
        hands = mask.sum(-1) >= MIN_FITTED_JOINTS
        errors = procrustes_errors(joints[hands], true_joints[hands], mask[hands].to(joints.dtype))
        self.accumulate(errors, mask[hands])


class PAMPVPE(MaskedMean):
    """MPVPE after Procrustes alignment of each hand by its own vertices, millimetres; as in FreiHAND."""

    def update(self, vertices: Tensor, true_vertices: Tensor, mask: Tensor) -> None:
        """Shapes: vertices, true_vertices: (..., V, 3) metres; mask: (...) hands, bool."""
        errors = procrustes_errors(vertices[mask], true_vertices[mask])
        self.accumulate(errors.mean(-1, keepdim=True), torch.ones_like(errors[..., 0], dtype=torch.bool))


class CSMPJPE(MaskedMean):
    """Mean joint error in camera space, millimetres: hands where they are placed, nothing aligned.

    Sources: Chen et al. 2021, "Camera-Space Hand Mesh Recovery" (CMR); Valassakis and Garcia-Hernando 2024, "HandDGP".
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(NUM_KEYPOINTS, **settings)

    def update(self, joints: Tensor, true_joints: Tensor, mask: Tensor) -> None:
        """Shapes: joints, true_joints: (..., 21, 3) metres, camera frame; mask: (...) hands or (..., 21) joints."""
        self.accumulate((joints - true_joints).norm(dim=-1) * MILLIMETRES, mask)


class MeanDistance(MaskedMean):
    """Mean Euclidean distance between points.

    Args:
        unit: factor from the unit of the points to that of the metric: 1000 for metres to millimetres.
    """

    def __init__(self, unit: float = 1.0, **settings: Any) -> None:
        super().__init__(**settings)
        self.unit = unit

    def update(self, points: Tensor, true_points: Tensor, mask: Tensor) -> None:
        """Shapes: points, true_points: (..., D); mask: (...) bool."""
        self.accumulate((points - true_points).norm(dim=-1, keepdim=True) * self.unit, mask)


class MRRPE(MeanDistance):
    """Mean relative-root position error, millimetres: of wrist_left - wrist_right, unscaled, pairs only.

    Source: InterHand2.6M.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(MILLIMETRES, **settings)


class PlacementError(MaskedMean):
    """Error of the wrist position in the camera frame, in per cent of its true depth.

    The depth of a hand is ambiguous in a single image, so the error grows with the depth and is given relative to it.

    Args:
        depth_only: measure the difference in depth only, not the distance.
    """

    def __init__(self, depth_only: bool = False, **settings: Any) -> None:
        super().__init__(**settings)
        self.depth_only = depth_only

    def update(self, wrist: Tensor, true_wrist: Tensor, mask: Tensor) -> None:
        """Shapes: wrist, true_wrist: (..., 3) metres, camera frame; mask: (...) bool."""
        offset = wrist - true_wrist
        error = offset[..., 2:].abs() if self.depth_only else offset.norm(dim=-1, keepdim=True)
        self.accumulate(100 * error / true_wrist[..., 2:], mask)


class PresenceAccuracy(MaskedMean):
    """Accuracy of the predicted presence over (image, side), at a probability of 0.5."""

    def update(self, logits: Tensor, presence: Tensor) -> None:
        """Shapes: logits: (...); presence: (...) bool."""
        correct = (logits > 0) == presence
        self.accumulate(correct[..., None].float(), torch.ones_like(presence))
