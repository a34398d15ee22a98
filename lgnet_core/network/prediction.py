"""What the network says about a batch of crops."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class HandsPrediction(NamedTuple):
    """Both hands in every crop, whether present or not; side axis = :class:`~lgnet_core.types.Side`.

    Meshes and joints are relative to each hand's own wrist, metres, axes of the crop's camera. ``rotations`` and
    ``shape`` describe the rough mesh (M_r); the refined mesh (M_f) lies off the hand model's manifold. A network
    without a refine stage says M_f = M_r.

    Shapes:
        joints_grid: (B, 2, 21, 3) 2.5D joints as (u, v, d) cells of the backbone's map and of the depth box, cell
            centres at integers; see :func:`lgnet_core.geometry.camera.grid_to_pixels` and ``grid_to_depth``.
        joint_log_variance: (B, 2, 21) log of the variance per axis of ``joints``, metres squared.
        presence_logits: (B, 2) logit of the probability that the hand is in the crop.
        rotations: (B, 2, 16, 3, 3) the hand model's joint rotations, root in camera axes, MANO's order.
        shape: (B, 2, 10) the hand model's shape coefficients.
        camera: (B, 2, 3) weak perspective (s, t_x, t_y): s X + t in the crop's [-1, 1], s in half crops per metre.
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
    """Hands one by one, each a row: what a network predicts of hands that have a crop each.

    Fields as of :class:`HandsPrediction`, without the side axis; ``joints_grid`` and ``camera`` in the hand's own crop.

    Shapes:
        joints_grid: (N, 21, 3); joint_log_variance: (N, 21); rotations: (N, 16, 3, 3); shape: (N, 10); camera: (N, 3);
        rough_vertices, vertices: (N, 778, 3); rough_joints, joints: (N, 21, 3).
        to_other: (N, 3) other wrist - own wrist, metres, camera axes; without meaning where there is no other hand.
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
    """What InterShape says besides its prediction, for its own losses: every answer of its cascade.

    Shapes:
        heatmaps: (B, 2, 21, D, H, W) a volume for each joint, over crop and depth box.
        pose: (B, K, 2, 48) axis-angle, relative to the mean pose; shape: (B, K, 2, 10); joints: (B, K, 2, 21, 3)
            metres, relative to each hand's wrist.
        translation: (B, 4) log of the left palm's length over the right's; (wrist_left - wrist_right) in left palms.
    """

    heatmaps: Tensor
    pose: Tensor
    shape: Tensor
    joints: Tensor
    translation: Tensor
