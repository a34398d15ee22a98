"""What was said about a batch of images beside what is true, in the units that the metrics take."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lgnet_core.data.sample import HandsBatch, HandsTruth
from lgnet_core.geometry.camera import grid_to_pixels
from lgnet_core.inference.placement import place_in_camera
from lgnet_core.network import HandsPrediction
from lgnet_core.network.lgnet.joint_stage import GRID_STRIDE
from lgnet_core.types import WRIST, Camera

PIXELS_OF = 256
"""Errors in the image are pixels of a crop of this size, whatever size the network sees."""


class Comparison(NamedTuple):
    """Hands as predicted and as they are. Joints and vertices are relative to each hand's own wrist, camera axes.

    Shapes:
        joints, true_joints: (B, 2, 21, 3) metres; vertices, true_vertices: (B, 2, 778, 3); rough_joints,
        rough_vertices alike, of the mesh before it is refined.
        joint_log_variance: (B, 2, 21) of metres squared.
        wrist, true_wrist: (B, 2, 3) metres, camera frame.
        pixels, true_pixels: (B, 2, 21, 2) of a crop of ``PIXELS_OF``.
        relative_translation, true_relative_translation: (B, 3) metres, wrist_left - wrist_right.
        presence_logits: (B, 2).
        measured: (B, 2, 21, 3) true joints as the data set has them, metres, camera frame.
        hands: (B, 2) bool, the hand is there; surfaces: (B, 2) bool, and its true vertices are known.
        known: (B, 2, 21) bool, the true joint is known; measured_known: likewise of ``measured``; inside: known, and it
        lies in the crop.
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
    hands: Tensor
    surfaces: Tensor
    known: Tensor
    measured_known: Tensor
    inside: Tensor

    @property
    def pairs(self) -> Tensor:
        """(B,) bool: both hands are there, and where their wrists are is known."""
        return (self.hands & self.known[..., WRIST]).all(1)

    def select(self, images: Tensor) -> Comparison:
        """Some of the images. Shapes: (B,) bool, or indices."""
        return Comparison(*(value[images] for value in self))


def compare(prediction: HandsPrediction, wrist: Tensor, batch: HandsBatch, truth: HandsTruth) -> Comparison:
    """A prediction beside the truth.

    Args:
        wrist: where the hands were placed, metres, camera frame; see :func:`place`.

    Shapes:
        wrist: (B, 2, 3).
    """
    size, root = batch.image.shape[-1], truth.joints[:, :, WRIST, None]
    inside = ((truth.joints_2d > -0.5) & (truth.joints_2d < size - 0.5)).all(-1)
    return Comparison(
        joints=prediction.joints,
        vertices=prediction.vertices,
        rough_joints=prediction.rough_joints,
        rough_vertices=prediction.rough_vertices,
        joint_log_variance=prediction.joint_log_variance,
        wrist=wrist,
        pixels=grid_to_pixels(prediction.joints_grid[..., :2], PIXELS_OF, size // GRID_STRIDE),
        relative_translation=prediction.relative_translation,
        presence_logits=prediction.presence_logits,
        true_joints=truth.joints - root,
        true_vertices=truth.vertices - root,
        true_wrist=root[:, :, 0],
        true_pixels=grid_to_pixels(truth.joints_2d, PIXELS_OF, size),
        true_relative_translation=root[:, 1, 0] - root[:, 0, 0],
        measured=truth.measured,
        hands=batch.presence,
        surfaces=truth.surfaces,
        known=truth.joints_known,
        measured_known=truth.measured_known,
        inside=inside & truth.joints_known,
    )


def place(prediction: HandsPrediction, batch: HandsBatch) -> Tensor:
    """Wrists in the camera's frame, as the estimator places them, of the hands that are there.

    Both hands of a crop together, with their predicted relative translation
    (:func:`lgnet_core.inference.placement.place_in_camera`); the crop's intrinsics are its camera. NaN for hands that
    are not there and for predictions that are not finite.

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
        told = (joints[k, sides], pixels[k, sides], std[k, sides])
        if len(sides) and all(np.isfinite(values).all() for values in (*told, relative[k])):
            camera = Camera(intrinsics[k], size, size)
            wrists[k, sides] = place_in_camera(*told, camera, relative[k] if len(sides) == 2 else None)
    return torch.from_numpy(wrists).to(batch.wrist)
