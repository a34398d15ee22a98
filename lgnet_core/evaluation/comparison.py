"""Predictions paired with ground truth in the units and frames of the metrics."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lgnet_core.data.sample import HandsBatch, HandsGroundTruth, inside_image
from lgnet_core.geometry.coordinates import grid_to_pixels
from lgnet_core.geometry.placement import place_in_camera
from lgnet_core.network import HandsPrediction
from lgnet_core.network.prediction import GRID_STRIDE
from lgnet_core.types import WRIST, Camera

REFERENCE_CROP_SIZE = 256
"""Pixel errors refer to a crop of this size, independent of the network's input size."""


class Comparison(NamedTuple):
    """Predicted and true hands. Joints and vertices are relative to each hand's own wrist, camera axes.

    Shapes:
        joints, true_joints: (B, 2, 21, 3) metres; vertices, true_vertices: (B, 2, 778, 3); rough_joints,
        rough_vertices: likewise, of the mesh before refinement.
        joint_log_variance: (B, 2, 21) of metres squared.
        wrist, true_wrist: (B, 2, 3) metres, camera frame.
        pixels, true_pixels: (B, 2, 21, 2) of a crop of ``REFERENCE_CROP_SIZE``.
        relative_translation, true_relative_translation: (B, 3) metres, wrist_left - wrist_right.
        presence_logits: (B, 2).
        measured: (B, 2, 21, 3) true joints as annotated in the data set, metres, camera frame.
        presence: (B, 2) bool, the hand is present; vertices_known: (B, 2) bool, its true vertices are known.
        joints_known: (B, 2, 21) bool, the true joint is known; measured_known: likewise for ``measured``;
        joints_in_crop: known and inside the crop.
    """

    joints: Tensor
    vertices: Tensor
    rough_joints: Tensor
    rough_vertices: Tensor
    joint_log_variance: Tensor
    wrist: Tensor
    pixels: Tensor
    relative_translation: Tensor
    presence_logits: Tensor
    true_joints: Tensor
    true_vertices: Tensor
    true_wrist: Tensor
    true_pixels: Tensor
    true_relative_translation: Tensor
    measured: Tensor
    presence: Tensor
    vertices_known: Tensor
    joints_known: Tensor
    measured_known: Tensor
    joints_in_crop: Tensor

    @property
    def pairs(self) -> Tensor:
        """(B,) bool: both hands are present and the positions of their wrists are known."""
        return (self.presence & self.joints_known[..., WRIST]).all(1)

    def select(self, images: Tensor) -> Comparison:
        """Some of the images. Shapes: (B,) bool, or indices."""
        return Comparison(*(value[images] for value in self))


def compare(prediction: HandsPrediction, wrist: Tensor, batch: HandsBatch, truth: HandsGroundTruth) -> Comparison:
    """Pair a prediction with the ground truth.

    Args:
        wrist: placed wrists, metres, camera frame; see :func:`place_wrists`.

    Shapes:
        wrist: (B, 2, 3).
    """
    size, root = batch.image.shape[-1], truth.joints[:, :, WRIST, None]
    return Comparison(
        joints=prediction.joints,
        vertices=prediction.vertices,
        rough_joints=prediction.rough_joints,
        rough_vertices=prediction.rough_vertices,
        joint_log_variance=prediction.joint_log_variance,
        wrist=wrist,
        pixels=grid_to_pixels(prediction.joints_grid[..., :2], REFERENCE_CROP_SIZE, size // GRID_STRIDE),
        relative_translation=prediction.relative_translation,
        presence_logits=prediction.presence_logits,
        true_joints=truth.joints - root,
        true_vertices=truth.vertices - root,
        true_wrist=root[:, :, 0],
        true_pixels=grid_to_pixels(truth.joints_2d, REFERENCE_CROP_SIZE, size),
        true_relative_translation=root[:, 1, 0] - root[:, 0, 0],
        measured=truth.measured,
        presence=batch.presence,
        vertices_known=truth.vertices_known,
        joints_known=truth.joints_known,
        measured_known=truth.measured_known,
        joints_in_crop=inside_image(truth.joints_2d, size, size) & truth.joints_known,
    )


def place_wrists(prediction: HandsPrediction, batch: HandsBatch) -> Tensor:
    """Wrist positions of present hands in the camera frame, computed as in the estimator.

    Both hands of a crop are placed together with their predicted relative translation, and the crop's intrinsics are
    the camera. NaN for absent hands and for predictions that are not finite.

    Shapes:
        returns (B, 2, 3) metres, on the batch's device.
    """
    size = batch.image.shape[-1]
    joints = prediction.joints.double().cpu().numpy()
    pixels = grid_to_pixels(prediction.joints_grid[..., :2].double(), size, size // GRID_STRIDE).cpu().numpy()
    std = (0.5 * prediction.joint_log_variance.double()).exp().cpu().numpy()
    relative = prediction.relative_translation.double().cpu().numpy()
    intrinsics, presence = batch.intrinsics.double().cpu().numpy(), batch.presence.cpu().numpy()
    wrists = np.full((len(batch), 2, 3), np.nan)
    for k in range(len(batch)):
        sides = np.flatnonzero(presence[k])
        observations = (joints[k, sides], pixels[k, sides], std[k, sides])
        if len(sides) and all(np.isfinite(values).all() for values in (*observations, relative[k])):
            camera = Camera(intrinsics[k], size, size)
            wrists[k, sides] = place_in_camera(*observations, camera, relative[k] if len(sides) == 2 else None)
    return torch.from_numpy(wrists).to(batch.wrist)
