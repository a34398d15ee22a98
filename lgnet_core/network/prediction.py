"""Output types of the networks."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class HandsPrediction(NamedTuple):
    """Predictions for both hands of every crop, whether present or not; side axis = :class:`~lgnet_core.types.Side`.

    Meshes and joints are relative to each hand's own wrist, in metres and the axes of the crop's camera. ``rotations``
    and ``shape`` describe the rough mesh (M_r); the refined mesh (M_f) lies off the hand model's manifold. Networks
    without a refine stage return M_f = M_r.

    Shapes:
        joints_grid: (B, 2, 21, 3) 2.5D joints as (u, v, d) cells of the backbone's map and of the depth box, cell
            centres at integers; see :func:`lgnet_core.geometry.coordinates.grid_to_pixels` and ``grid_to_depth``.
        joint_log_variance: (B, 2, 21) log of the variance per axis of ``joints``, square metres.
        presence_logits: (B, 2) logit of the probability that the hand is in the crop.
        rotations: (B, 2, 16, 3, 3) joint rotations of the hand model, root in camera axes, MANO's order.
        shape: (B, 2, 10) shape coefficients of the hand model.
        camera: (B, 2, 3) weak perspective (s, t_x, t_y): s X + t in the crop's [-1, 1], s in half crop sides per metre.
        rough_vertices: (B, 2, 778, 3) M_r; rough_joints: (B, 2, 21, 3).
        vertices: (B, 2, 778, 3) M_f; joints: (B, 2, 21, 3).
        relative_translation: (B, 3) wrist_left - wrist_right, metres, camera axes.
    """

    joints_grid: Tensor
    joint_log_variance: Tensor
    presence_logits: Tensor
    rotations: Tensor
    shape: Tensor
    camera: Tensor
    rough_vertices: Tensor
    rough_joints: Tensor
    vertices: Tensor
    joints: Tensor
    relative_translation: Tensor


class StackedHands(NamedTuple):
    """Predictions of a network with one crop per hand; each hand is one row of the batch.

    Fields as in :class:`HandsPrediction`, without the side axis; ``joints_grid`` and ``camera`` refer to the hand's own
    crop.

    Shapes:
        joints_grid: (N, 21, 3); joint_log_variance: (N, 21); rotations: (N, 16, 3, 3); shape: (N, 10); camera: (N, 3);
        rough_vertices, vertices: (N, 778, 3); rough_joints, joints: (N, 21, 3).
        to_other: (N, 3) other wrist - own wrist, metres, camera axes; undefined where there is no other hand.
    """

    joints_grid: Tensor
    joint_log_variance: Tensor
    rotations: Tensor
    shape: Tensor
    camera: Tensor
    rough_vertices: Tensor
    rough_joints: Tensor
    vertices: Tensor
    joints: Tensor
    to_other: Tensor


class IntermediateOutputs(NamedTuple):
    """Intermediate outputs that InterShape's losses supervise: heatmaps and the estimate of every cascade step.

    Shapes:
        heatmaps: (B, 2, 21, D, H, W) one volume per joint, over crop and depth box.
        pose: (B, K, 2, 48) axis-angle, relative to the mean pose; shape: (B, K, 2, 10); joints: (B, K, 2, 21, 3)
            metres, relative to each hand's wrist.
        translation: (B, 4) log of the ratio of the left to the right palm length, and wrist_left - wrist_right in left
            palm lengths.
    """

    heatmaps: Tensor
    pose: Tensor
    shape: Tensor
    joints: Tensor
    translation: Tensor
