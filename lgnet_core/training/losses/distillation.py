"""Losses for cached features: pseudo-labels of a teacher, and fine-tuning of the landmark network's own outputs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lgnet_core.data.sample import HandsBatch, HandsLabels
from lgnet_core.geometry.affine import inverse_transform_points
from lgnet_core.geometry.camera import project, weak_perspective_root
from lgnet_core.geometry.coordinates import grid_to_pixels
from lgnet_core.network import HandsPrediction
from lgnet_core.network.detector.hand_landmark import HandLandmarkNet
from lgnet_core.network.prediction import GRID_STRIDE, HandLandmarks
from lgnet_core.synthetic.render.visibility import MIN_JOINTS
from lgnet_core.training.features.batch import FeatureBatch

JOINT_TOLERANCE, MESH_TOLERANCE = 0.02, 0.03
"""Tolerances of :func:`pseudo_label_loss` in hand sizes, for the joint stage and for the meshes."""
LANDMARK_TOLERANCE = 0.03
"""Tolerance for the landmark network's joints, whose definition differs slightly from the hand model's."""


def pseudo_label_error(prediction: Tensor, pseudo_labels: Tensor) -> tuple[Tensor, Tensor]:
    """Distances from the pseudo-labels in hand sizes, and which hands have pseudo-labels.

    The size of a hand is the longer side of the bounding box of its pseudo-labels.

    Shapes:
        prediction, pseudo_labels: (B, 2, 21, 2) image pixels, NaN if there is no pseudo-label;
        returns (B, 2, 21) and (B, 2) bool.
    """
    labelled = torch.isfinite(pseudo_labels).all(-1).all(-1)
    target = torch.where(labelled[..., None, None], pseudo_labels, prediction.detach())
    size = (target.amax(2) - target.amin(2)).amax(-1).clamp_min(1.0)
    return (prediction - target).norm(dim=-1) / size[..., None], labelled


def pseudo_label_loss(prediction: Tensor, pseudo_labels: Tensor, tolerance: float) -> Tensor:
    """Epsilon-insensitive distance: mean of the joint error beyond a tolerance, in hand sizes.

    The tolerance covers different joint definitions: the teacher's fingertips lie 5 to 7 % of a palm short of the hand
    model's, and its first thumb joint is offset by a tenth of a palm.

    Shapes: see :func:`pseudo_label_error`; returns a scalar, 0 without pseudo-labels.
    """
    error, labelled = pseudo_label_error(prediction, pseudo_labels)
    excess = (error - tolerance).clamp_min(0).mean(-1)
    return torch.where(labelled, excess, 0).sum() / labelled.sum().clamp_min(1)


def grid_joints_2d(prediction: HandsPrediction, batch: HandsBatch) -> Tensor:
    """(B, 2, 21, 2) joints of the joint stage, image pixels."""
    size = batch.image.shape[-1]
    return grid_to_pixels(prediction.joints_grid[..., :2], size, size // GRID_STRIDE)


def mesh_joints_2d(joints: Tensor, prediction: HandsPrediction, batch: HandsBatch) -> Tensor:
    """(B, 2, 21, 2) projections of wrist-relative mesh joints (B, 2, 21, 3) by the predicted camera, image pixels."""
    intrinsics = batch.intrinsics[:, None]
    root = weak_perspective_root(prediction.camera, intrinsics, batch.image.shape[-1])
    return project(joints + root[:, :, None], intrinsics, min_depth=0.05)


def distillation_terms(prediction: HandsPrediction, batch: HandsBatch, pseudo_labels: Tensor) -> dict[str, Tensor]:
    """2D losses of the joint stage's joints and of both meshes' joints.

    Args:
        prediction: prediction in the full image, see :func:`lgnet_core.data.hand_pairs.uncrop_prediction`.
        pseudo_labels: (B, 2, 21, 2) image pixels, NaN if there is no pseudo-label.
    """
    meshes = [mesh_joints_2d(x, prediction, batch) for x in (prediction.rough_joints, prediction.joints)]
    losses = [pseudo_label_loss(mesh, pseudo_labels, MESH_TOLERANCE) for mesh in meshes]
    return {
        "teacher": pseudo_label_loss(grid_joints_2d(prediction, batch), pseudo_labels, JOINT_TOLERANCE),
        "teacher_mesh": torch.stack(losses).mean(),
    }


def landmarker_terms(
    landmarker: HandLandmarkNet, features: HandLandmarks, sample: FeatureBatch, labels: HandsLabels
) -> dict[str, Tensor]:
    """Losses of the landmark network's landmarks, presence and handedness.

    Crops of left hands are mirrored, so every hand crop shows a present right hand; the hard negatives in
    ``sample.negative`` (:mod:`lgnet_core.training.features.negatives`) provide the other labels. Hands with less than a
    third of the joints visible are ignored.
    """
    batch, labelled = sample.batch, torch.isfinite(sample.teacher).all(-1).all(-1)
    target = torch.where(batch.presence[..., None, None], labels.joints_2d, sample.teacher)
    deep = landmarker.encoder.forward_deep(sample.negative)
    *_, presence, side = landmarker.heads(deep)
    visible = labelled | (batch.presence & (batch.visibility.sum(-1) >= MIN_JOINTS))
    positive = torch.where(visible, 1.0, torch.nan).flatten()
    landmarks = inverse_transform_points(sample.affine, features.landmarks[..., :2])
    return {
        "landmarks": pseudo_label_loss(landmarks, target, LANDMARK_TOLERANCE),
        "hand_presence": _balanced_cross_entropy(
            torch.cat([features.presence_logits.flatten(), presence]),
            torch.cat([positive, sample.negative_labels[:, 0]]),
        ),
        "hand_side": _balanced_cross_entropy(
            torch.cat([features.side_logits.flatten(), side]), torch.cat([positive, sample.negative_labels[:, 1]])
        ),
    }


def _balanced_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy with equal weight of both classes; NaN labels are ignored. Shapes: (N,)."""
    classes = [logits[labels == value] for value in (0.0, 1.0)]
    losses = [F.binary_cross_entropy_with_logits(x, torch.full_like(x, k)) for k, x in enumerate(classes) if len(x)]
    return torch.stack(losses).mean() if losses else logits.sum() * 0
