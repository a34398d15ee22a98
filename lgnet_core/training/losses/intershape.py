r"""Loss terms of InterShape: heatmaps, and deep supervision of all intermediate outputs.

Lengths are in units of the hand's *palm*, the rest-pose bone from the wrist to the middle MCP joint: predictions in
palms of the predicted hand, targets in palms of the ground-truth hand, so that only ``bone_length`` depends on the size
of the hand. Terms are means over their mask and over the intermediate outputs. Source: InterShape's terms and their
proportions. The paper does not state whether its bone and shape terms are absolute or squared: absolute for the bones,
as for the joints; squared for the agreement of both shapes, as for the offsets between the hands.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lgnet_core.data.sample import HandsBatch, HandsLabels
from lgnet_core.hand_model import HandLayer
from lgnet_core.network.prediction import IntermediateOutputs
from lgnet_core.training.losses.terms import grid_target, masked_mean
from lgnet_core.types import Side

HEATMAP_SIGMA = 2.5 / 64
"""Standard deviation of a target heatmap over the edge of its volume (InterNet: 2.5 of 64 voxels)."""
POSE_PRIOR_WEIGHT = 0.45
"""Weight of the mean square of the pose relative to that of the shape in the prior. As sums over 45 and 10 numbers the
ratio is 0.1."""


def intershape_terms(
    intermediate: IntermediateOutputs, batch: HandsBatch, labels: HandsLabels, hand_model: HandLayer, depth_box: float
) -> dict[str, Tensor]:
    """All terms by their names in :class:`lgnet_core.training.losses.config.InterShapeLossWeights`."""
    presence, both_present = batch.presence, batch.presence.all(1)
    count = intermediate.shape.shape[1]  # K intermediate outputs
    hand_mask = presence[:, None].expand(-1, count, -1)  # (B, K, 2)
    pair_mask = both_present[:, None].expand(-1, count)
    palm = hand_model.palm_length(intermediate.shape)  # (B, K, 2)
    target_palm = hand_model.palm_length(batch.shape)  # (B, 2)
    joints = intermediate.joints / palm[..., None, None]
    target_joints = (labels.joints - batch.wrist[:, :, None]) / target_palm[..., None, None]
    translation = intermediate.translation[:, None].expand(-1, count, -1)
    offsets = inter_hand_offsets(joints, translation[..., 1:], translation[..., 0])
    log_ratio = (target_palm[:, Side.LEFT] / target_palm[:, Side.RIGHT]).log()
    target_translation = labels.relative_translation / target_palm[:, Side.LEFT, None]  # in left palms
    target_offsets = inter_hand_offsets(target_joints, target_translation, log_ratio)
    right, left = intermediate.shape.unbind(2)
    bone_error = hand_model.bone_lengths(intermediate.shape) - hand_model.bone_lengths(batch.shape)[:, None]
    return {
        "heatmap": heatmap_loss(intermediate.heatmaps, *grid_target(batch, labels, depth_box)),
        "palm_joint": masked_mean((joints - target_joints[:, None]).abs(), hand_mask),
        "inter_hand": masked_mean((offsets - target_offsets[:, None]).square(), pair_mask),
        "shape_agreement": masked_mean((right - left).square(), pair_mask),
        "bone_length": masked_mean(bone_error.abs(), hand_mask),
        "intermediate_shape": masked_mean((intermediate.shape - batch.shape[:, None]).abs(), hand_mask),
        "prior": masked_mean(intermediate.shape.square(), hand_mask)
        + POSE_PRIOR_WEIGHT * masked_mean(intermediate.pose[..., 3:].square(), hand_mask),
    }


def heatmap_loss(volumes: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    r"""Squared error to a Gaussian of height 1, relative to its energy: 1 for an empty volume, 0 for the target.

    .. math:: \sum_v (h_v - g_v)^2 / \sum_v g_v^2

    The Gaussian is separable, so its volume is never materialised.

    Args:
        target: (u, v, d), each in [-1, 1] across the crop and the depth box.

    Shapes:
        volumes: (B, 2, 21, D, H, W); target: (B, 2, 21, 3); mask: (B, 2, 21) bool.
    """
    depth, height, width = volumes.shape[-3:]
    along_u, along_v, along_d = (_gaussian_1d(target[..., k], count) for k, count in enumerate((width, height, depth)))
    overlap = (volumes @ along_u[..., None, :, None])[..., 0]  # (B, 2, 21, D, H)
    overlap = (overlap @ along_v[..., :, None])[..., 0]  # (B, 2, 21, D)
    overlap = (overlap * along_d).sum(-1)
    energy = torch.stack([line.square().sum(-1) for line in (along_u, along_v, along_d)]).prod(0)
    error = volumes.square().sum((-3, -2, -1)) - 2 * overlap + energy
    return masked_mean(error / energy.clamp_min(1e-6), mask)


def inter_hand_offsets(joints: Tensor, translation: Tensor, log_ratio: Tensor) -> Tensor:
    r"""Offsets from each joint of a hand to the same joint of the other, in both hands' frames and units.

    In the right hand's frame the left hand is :math:`(J_L + T) e^s`; in the left hand's frame the right hand is
    :math:`J_R e^{-s} - T`.

    Args:
        joints: wrist-relative joints, in palms of each hand.
        translation: T, in left palms: (wrist_left - wrist_right) / palm_left.
        log_ratio: s, logarithm of the left palm over the right palm.

    Shapes:
        joints: (..., 2, 21, 3); translation: (..., 3); log_ratio: (...);
        returns (..., 2, 21, 3), indexed by the side of the frame.
    """
    right, left = joints.unbind(-3)
    ratio = log_ratio.exp()[..., None, None]
    left_in_right = (left + translation[..., None, :]) * ratio
    right_in_left = right / ratio - translation[..., None, :]
    return torch.stack([left_in_right - right, right_in_left - left], -3)


def _gaussian_1d(centres: Tensor, count: int) -> Tensor:
    """Gaussian sampled at the cells of one axis: centres (...) in [-1, 1] -> (..., count)."""
    cells = (torch.arange(count, device=centres.device, dtype=centres.dtype) * 2 + 1) / count - 1
    return torch.exp(-0.5 * ((centres[..., None] - cells) / (2 * HEATMAP_SIGMA)).square())
