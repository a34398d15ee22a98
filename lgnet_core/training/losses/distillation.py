"""Losses of cached features: a teacher's joints, and the landmark network's own answers where it is trained."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lgnet_core.data.sample import HandsBatch, HandsLabels
from lgnet_core.geometry.camera import grid_to_pixels, project, weak_perspective_root
from lgnet_core.geometry.hand_crops import to_image
from lgnet_core.network import HandsPrediction
from lgnet_core.network.detector.hand_landmark import HandLandmarkNet
from lgnet_core.network.lgnet.joint_stage import GRID_STRIDE
from lgnet_core.network.per_hand.batching import HandFeatures
from lgnet_core.synthetic.render.visibility import MIN_JOINTS
from lgnet_core.training.feature_shards import FeatureBatch

TOLERANCE, MESH_TOLERANCE = 0.02, 0.03
"""In parts of the hand's size, see :func:`teacher_loss`: of the joint stage's joints, and of the meshes'."""
LANDMARK_TOLERANCE = 0.03
"""The same of the landmark network's own joints, which differ by a part of it from the hand model's."""


def teacher_error(prediction: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Distances from the teacher's joints in parts of the hand's size, and which hands the teacher knows.

    The size is the longer side of the box around the teacher's joints.

    Shapes:
        prediction, teacher: (B, 2, 21, 2) pixels of the image, NaN where there is no teacher;
        returns (B, 2, 21) and (B, 2) bool.
    """
    known = torch.isfinite(teacher).all(-1).all(-1)
    target = torch.where(known[..., None, None], teacher, prediction.detach())
    extent = (target.amax(2) - target.amin(2)).amax(-1).clamp_min(1.0)
    return (prediction - target).norm(dim=-1) / extent[..., None], known


def teacher_loss(prediction: Tensor, teacher: Tensor, tolerance: float) -> Tensor:
    """Mean of what the joints' distance from the teacher's exceeds a tolerance by, in parts of the hand's size.

    The tolerance is there since the two do not mean the same by each joint: the teacher's fingertips lie 5 to 7 % of a
    palm short of the hand model's, its thumb's first joint a tenth of a palm aside.

    Shapes: see :func:`teacher_error`; returns a scalar, 0 where there is no teacher.
    """
    error, known = teacher_error(prediction, teacher)
    beyond = (error - tolerance).clamp_min(0).mean(-1)
    return torch.where(known, beyond, 0).sum() / known.sum().clamp_min(1)


def joints_2d(prediction: HandsPrediction, batch: HandsBatch) -> Tensor:
    """(B, 2, 21, 2) the joint stage's joints, pixels of the images."""
    size = batch.image.shape[-1]
    return grid_to_pixels(prediction.joints_grid[..., :2], size, size // GRID_STRIDE)


def mesh_joints_2d(joints: Tensor, prediction: HandsPrediction, batch: HandsBatch) -> Tensor:
    """(B, 2, 21, 2) where the predicted camera sees a mesh's joints (B, 2, 21, 3), pixels of the images."""
    intrinsics = batch.intrinsics[:, None]
    root = weak_perspective_root(prediction.camera, intrinsics, batch.image.shape[-1])
    return project(joints + root[:, :, None], intrinsics, min_depth=0.05)


def teacher_terms(prediction: HandsPrediction, batch: HandsBatch, teacher: Tensor) -> dict[str, Tensor]:
    """The losses of the joint stage's joints and of both meshes', each in the image.

    Args:
        prediction: in the images, see :func:`lgnet_core.data.hand_pairs.in_image`.
        teacher: (B, 2, 21, 2) pixels of the images, NaN where there is none.
    """
    meshes = [mesh_joints_2d(x, prediction, batch) for x in (prediction.rough_joints, prediction.joints)]
    losses = [teacher_loss(mesh, teacher, MESH_TOLERANCE) for mesh in meshes]
    return {
        "teacher": teacher_loss(joints_2d(prediction, batch), teacher, TOLERANCE),
        "teacher_mesh": torch.stack(losses).mean(),
    }


def landmarker_terms(
    landmarker: HandLandmarkNet, features: HandFeatures, sample: FeatureBatch, labels: HandsLabels
) -> dict[str, Tensor]:
    """The losses of the landmark network's landmarks, presence and side.

    The crops of both hands are mirrored for left ones, so each shows a right hand; what else there is to tell,
    ``sample.negative`` shows (:mod:`lgnet_core.training.negatives`). Hands of which less than a third of the joints is
    visible count neither way.
    """
    batch, known = sample.batch, torch.isfinite(sample.teacher).all(-1).all(-1)
    target = torch.where(batch.presence[..., None, None], labels.joints_2d, sample.teacher)
    deep = landmarker.encoder.deepen(sample.negative)
    *_, presence, side = landmarker.heads(deep)
    clear = known | (batch.presence & (batch.visibility.sum(-1) >= MIN_JOINTS))
    own = torch.where(clear, 1.0, torch.nan).flatten()
    return {
        "landmarks": teacher_loss(to_image(sample.affine, features.landmarks[..., :2]), target, LANDMARK_TOLERANCE),
        "hand_presence": _binary_loss(
            torch.cat([features.presence_logits.flatten(), presence]), torch.cat([own, sample.negative_labels[:, 0]])
        ),
        "hand_side": _binary_loss(
            torch.cat([features.side_logits.flatten(), side]), torch.cat([own, sample.negative_labels[:, 1]])
        ),
    }


def _binary_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy, the mean of that of either label, however often each occurs; NaN is no label. Shapes: (N,)."""
    parts = [logits[labels == value] for value in (0.0, 1.0)]
    losses = [F.binary_cross_entropy_with_logits(x, torch.full_like(x, k)) for k, x in enumerate(parts) if len(x)]
    return torch.stack(losses).mean() if losses else logits.sum() * 0
