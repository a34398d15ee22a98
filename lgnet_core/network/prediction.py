"""Input sizes and output types of the networks; needs no torch.

The fields are tensors as the networks return them, and numpy arrays as engines do.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np

from lgnet_core.types import Array, FloatArray, Side

HAND_CROP_SIZE = 224
"""Side of the hand-landmark network's crop, pixels."""

PALM_IMAGE_SIZE = 192
"""Side of the palm detector's letterboxed image, pixels."""

GRID_STRIDE = 32
"""Pixels per cell of the grid of the 2.5D joints."""

MAX_LOGIT = 50.0
"""Logits are clipped to it: beyond, exp overflows or the sigmoid is saturated in double precision."""

Outputs = TypeVar("Outputs", bound=NamedTuple)
"""Named tuple that a network returns."""


class PalmCandidates(NamedTuple):
    """One candidate per anchor, before score thresholding; pixels of the letterboxed image.

    Shapes:
        logits: (B, 2016); the sigmoid is the score.
        boxes: (B, 2016, 4) left, top, right, bottom.
        keypoints: (B, 2016, 7, 2), in the order of :data:`~lgnet_core.geometry.hand_crops.PALM_KEYPOINTS`.
    """

    logits: Array
    boxes: Array
    keypoints: Array


class HandLandmarks(NamedTuple):
    """Output of the network for a batch of crops.

    Landmarks are in MediaPipe's order: wrist, then four per finger from the palm outwards: thumb (CMC, MCP, IP, tip),
    index (MCP, PIP, DIP, tip), middle, ring, pinky.

    Where a batch holds both hands of each image, all fields have a side axis of length 2 after the batch axis.

    Shapes and units:
        early: (N, 24, 56, 56) features at stride 4 (lite: 16 channels).
        middle: (N, 112, 14, 14) features at stride 16 (lite: 64).
        deep: (N, 1152, 7, 7) features at stride 32 (lite: 672).
        landmarks: (N, 21, 3) pixels (u, v) of the crop, and depth relative to the wrist in pixels of the same scale.
        world_landmarks: (N, 21, 3) metres, relative to approximately the centre of the hand, axes of the crop (x right,
            y down, z away from the camera).
        presence_logits: (N,); the sigmoid is the probability that the crop shows a hand.
        side_logits: (N,); > 0 for a right hand, if the image is not mirrored.
    """

    early: Array
    middle: Array
    deep: Array
    landmarks: Array
    world_landmarks: Array
    presence_logits: Array
    side_logits: Array


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

    joints_grid: Array
    joint_log_variance: Array
    presence_logits: Array
    rotations: Array
    shape: Array
    camera: Array
    rough_vertices: Array
    rough_joints: Array
    vertices: Array
    joints: Array
    relative_translation: Array


class StackedHands(NamedTuple):
    """Predictions of a network with one crop per hand; each hand is one row of the batch.

    Fields as in :class:`HandsPrediction`, without the side axis; ``joints_grid`` and ``camera`` refer to the hand's own
    crop.

    Shapes:
        joints_grid: (N, 21, 3); joint_log_variance: (N, 21); rotations: (N, 16, 3, 3); shape: (N, 10); camera: (N, 3);
        rough_vertices, vertices: (N, 778, 3); rough_joints, joints: (N, 21, 3).
        to_other: (N, 3) other wrist - own wrist, metres, camera axes; undefined where there is no other hand.
    """

    joints_grid: Array
    joint_log_variance: Array
    rotations: Array
    shape: Array
    camera: Array
    rough_vertices: Array
    rough_joints: Array
    vertices: Array
    joints: Array
    to_other: Array


class IntermediateOutputs(NamedTuple):
    """Intermediate outputs that InterShape's losses supervise: heatmaps and the estimate of every cascade step.

    Shapes:
        heatmaps: (B, 2, 21, D, H, W) one volume per joint, over crop and depth box.
        pose: (B, K, 2, 48) axis-angle, relative to the mean pose; shape: (B, K, 2, 10); joints: (B, K, 2, 21, 3)
            metres, relative to each hand's wrist.
        translation: (B, 4) log of the ratio of the left to the right palm length, and wrist_left - wrist_right in left
            palm lengths.
    """

    heatmaps: Array
    pose: Array
    shape: Array
    joints: Array
    translation: Array


def relative_translation(to_other: Array) -> Array:
    """wrist_left - wrist_right, the mean of both hands' estimates. Shapes: (..., 2, 3) -> (..., 3)."""
    return (to_other[..., Side.RIGHT, :] - to_other[..., Side.LEFT, :]) / 2


def sigmoid(logits: FloatArray) -> FloatArray:
    """Probabilities of an engine's logits, in double precision."""
    return 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -MAX_LOGIT, MAX_LOGIT)))
