"""Cameras that look at hands, and images with a dot at each joint, for data sets that tests make up."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from scipy.spatial.transform import Rotation

from lgnet_core.data.sample import HandsBatch, HandsGroundTruth
from lgnet_core.hand_model import HandModel
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.types import Side

CHANNELS = {Side.RIGHT: 0, Side.LEFT: 1}
"""Channel of RGB in which the dots of a hand are drawn."""


def look_at(position: np.ndarray, target: np.ndarray, roll: float = 0.0) -> np.ndarray:
    """(4, 4) world from camera (x right, y down, z forward); ``roll`` in radians about the optical axis."""
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = (
        np.stack([right, np.cross(forward, right), forward], 1) @ Rotation.from_rotvec([0, 0, roll]).as_matrix()
    )
    pose[:3, 3] = position
    return pose


def quaternion_wxyz(matrix: np.ndarray) -> list[float]:
    x, y, z, w = Rotation.from_matrix(matrix[:3, :3]).as_quat()
    return [w, x, y, z]


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Transform points (..., 3) by a (4, 4) matrix."""
    homogeneous = np.concatenate([points, np.ones_like(points[..., :1])], -1)
    return np.einsum("ij,...j->...i", matrix, homogeneous)[..., :3]


def pairs_of_hands(hand_model: HandModel, count: int, seed: int = 4) -> np.ndarray:
    """(count, 2, 21, 3) joints of interacting hands in metres, each pair around the origin."""
    batch = SyntheticHands(seed, hand_model).crops(torch.arange(8 * count), 32)
    joints = batch.labels(hand_model).joints[batch.presence.all(1)].double().numpy()
    spread = np.linalg.norm(joints[:, 0].mean(1) - joints[:, 1].mean(1), axis=-1)
    joints = joints[spread < 0.2][:count]
    assert len(joints) == count
    return joints - joints.mean((1, 2), keepdims=True)


def dotted_image(width: int, height: int, pixels: dict[Side, np.ndarray]) -> np.ndarray:
    """(H, W, 3) RGB image that is black but for a dot at each joint (21, 2) of each hand, in its channel."""
    channels = [np.zeros((height, width), np.uint8) for _ in range(3)]
    for side, points in pixels.items():
        for u, v in points:
            cv2.circle(channels[CHANNELS[side]], (round(float(u)), round(float(v))), 3, 255, -1)
    return np.stack(channels, -1)


def assert_dots_at(batch: HandsBatch, truth: HandsGroundTruth) -> None:
    """The crops show a dot of the right side at the projection of every joint that is inside them."""
    size = batch.image.shape[-1]
    for k in range(len(batch)):
        for side, channel in CHANNELS.items():
            if not bool(truth.joints_known[k, side].any()):
                continue
            shown = truth.joints_2d[k, side]
            shown = shown[truth.joints_known[k, side] & ((shown > 1) & (shown < size - 2)).all(-1)]
            assert len(shown) >= 15
            columns, rows = shown.round().long().unbind(-1)
            assert (batch.image[k, channel, rows, columns] > 100).all(), (k, side)
