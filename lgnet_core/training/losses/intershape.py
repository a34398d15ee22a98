r"""InterShape's own terms: of its heatmaps, and of all its answers, each of which is supervised.

Lengths are in units of a hand's *palm*, the resting hand's bone from the wrist to the middle MCP: the network's answers
in those of the predicted hand, the truth in those of the true one, so that size is a matter of ``bone_length`` alone.
Terms are means over what their mask leaves, and over the answers. Source: InterShape's terms and their proportions;
whether its terms of bones and shapes are absolute or squared is not known: absolute for the bones, as for the joints,
squared for the agreement of both shapes, as for the offsets between the hands.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lgnet_core.data.sample import HandsBatch, HandsLabels
from lgnet_core.hand_model import HandModel
from lgnet_core.network.prediction import IntermediateOutputs
from lgnet_core.training.losses.terms import grid_target, masked_mean
from lgnet_core.types import Side

PEAK_WIDTH = 2.5 / 64
"""Standard deviation of a target heatmap's peak over the edge of the box (InterNet: 2.5 of 64 voxels)."""
POSE_SHARE = 0.45
"""Weight of the mean square of the pose beside that of the shape in the prior: 0.1 in sums, of 45 numbers and of 10."""


def intershape_terms(
    cascade: IntermediateOutputs, batch: HandsBatch, labels: HandsLabels, hand_model: HandModel, depth_box: float
) -> dict[str, Tensor]:
    """All terms, by their name in :class:`lgnet_core.training.losses.config.InterShapeLossWeights`."""
    presence, pairs = batch.presence, batch.presence.all(1)
    answers = cascade.shape.shape[1]
    each = presence[:, None].expand(-1, answers, -1)  # (B, K, 2)
    both = pairs[:, None].expand(-1, answers)
    palm, true_palm = hand_model.palm_length(cascade.shape), hand_model.palm_length(batch.shape)  # (B, K, 2), (B, 2)
    joints = cascade.joints / palm[..., None, None]
    true_joints = (labels.joints - batch.wrist[:, :, None]) / true_palm[..., None, None]
    translation = cascade.translation[:, None].expand(-1, answers, -1)
    offsets = inter_hand_offsets(joints, translation[..., 1:], translation[..., 0])
    ratio = (true_palm[:, Side.LEFT] / true_palm[:, Side.RIGHT]).log()
    apart = labels.relative_translation / true_palm[:, Side.LEFT, None]  # T e^s is in the right palm's units
    true_offsets = inter_hand_offsets(true_joints, apart, ratio)
    right, left = cascade.shape.unbind(2)
    return {
        "heatmap": heatmap_loss(cascade.heatmaps, *grid_target(batch, labels, depth_box)),
        "palm_joint": masked_mean((joints - true_joints[:, None]).abs(), each),
        "inter_hand": masked_mean((offsets - true_offsets[:, None]).square(), both),
        "shape_agreement": masked_mean((right - left).square(), both),
        "bone_length": masked_mean(
            (hand_model.bone_lengths(cascade.shape) - hand_model.bone_lengths(batch.shape)[:, None]).abs(), each
        ),
        "answer_shape": masked_mean((cascade.shape - batch.shape[:, None]).abs(), each),
        "prior": masked_mean(cascade.shape.square(), each)
        + POSE_SHARE * masked_mean(cascade.pose[..., 3:].square(), each),
    }


def heatmap_loss(volumes: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    r"""Squared error against a Gaussian of height 1, relative to its energy: 1 for an empty volume, 0 for the target.

    .. math:: \sum_v (h_v - g_v)^2 / \sum_v g_v^2

    The Gaussian is a product of three along the axes, so that no volume of it is made.

    Args:
        target: true (u, v, d), each in [-1, 1] across the crop and the depth box.

    Shapes:
        volumes: (B, 2, 21, D, H, W); target: (B, 2, 21, 3); mask: (B, 2, 21) bool.
    """
    depth, height, width = volumes.shape[-3:]
    along_u, along_v, along_d = (_peak(target[..., k], count) for k, count in enumerate((width, height, depth)))
    overlap = (volumes @ along_u[..., None, :, None])[..., 0]  # (B, 2, 21, D, H)
    overlap = (overlap @ along_v[..., :, None])[..., 0]  # (B, 2, 21, D)
    overlap = (overlap * along_d).sum(-1)
    energy = torch.stack([line.square().sum(-1) for line in (along_u, along_v, along_d)]).prod(0)
    error = volumes.square().sum((-3, -2, -1)) - 2 * overlap + energy
    return masked_mean(error / energy.clamp_min(1e-6), mask)


def inter_hand_offsets(joints: Tensor, translation: Tensor, log_ratio: Tensor) -> Tensor:
    r"""From each joint of a hand to the same of the other, in both hands' frames and units.

    In the right's, the left hand is :math:`(J_L + T) e^s`; in the left's, the right is :math:`J_R e^{-s} - T`.

    Args:
        joints: in units of each hand's own palm.
        translation: T, in units of the left palm: (wrist_left - wrist_right) / palm_left.
        log_ratio: s, of the left palm over the right.

    Shapes:
        joints: (..., 2, 21, 3); translation: (..., 3); log_ratio: (...); returns (..., 2, 21, 3), index = whose frame.
    """
    right, left = joints.unbind(-3)
    ratio = log_ratio.exp()[..., None, None]
    left_in_right = (left + translation[..., None, :]) * ratio
    right_in_left = right / ratio - translation[..., None, :]
    return torch.stack([left_in_right - right, right_in_left - left], -3)


def _peak(places: Tensor, count: int) -> Tensor:
    """exp(-d^2 / 2 sigma^2) of cells along one axis: (...) in [-1, 1] to (..., count)."""
    cells = (torch.arange(count, device=places.device, dtype=places.dtype) * 2 + 1) / count - 1
    return torch.exp(-0.5 * ((places[..., None] - cells) / (2 * PEAK_WIDTH)).square())
