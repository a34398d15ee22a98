"""Stub estimator without a network."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from lgnet_core.geometry.camera import project_distorted
from lgnet_core.hand_model import load_hand_layer
from lgnet_core.network import build_network
from lgnet_core.network.checkpoint import save_network
from lgnet_core.types import Camera, FloatArray, Hand, Side, TwoHands

FACES = np.array([[0, 2, 1], [0, 3, 2]])


def tile(side: Side, joints: FloatArray, pixels: FloatArray) -> Hand:
    """A hand whose mesh is the bounding rectangle of its joints."""
    low, high = joints.min(0), joints.max(0)
    corners = [[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]]
    vertices = np.column_stack([corners, np.full(4, joints[:, 2].mean())])
    rotations = np.broadcast_to(np.eye(3), (16, 3, 3))
    return Hand(side, 0.9, joints, vertices, FACES, pixels, np.full(21, 0.01), rotations, np.zeros(10))


class StubEstimator:
    """Returns a left hand at the centre of every image whose first pixel is not black."""

    hand_model = load_hand_layer()
    engines: ClassVar = {"hands": "no engine"}

    def estimate(self, image: FloatArray, camera: Camera | None = None) -> TwoHands:
        height, width = image.shape[:2]
        if not image[0, 0].any():
            return TwoHands(None, None, None, metric=camera is not None)
        spread = np.linspace(-0.05, 0.05, 21)
        joints = np.column_stack([spread, spread**2 * 20, spread * 0.1])
        if camera is None:
            pixels = joints[:, :2] * height * 4 + [width / 2, height / 2]
        else:
            joints = joints + np.array([0, 0, 0.5])
            pixels = project_distorted(joints, camera)
        return TwoHands(None, tile(Side.LEFT, joints, pixels), None, metric=camera is not None)


def save_untrained_network(path: Path) -> Path:
    """Save deterministic weights of an untrained lgnet-mini, for tests where accuracy does not matter."""
    torch.manual_seed(0)
    save_network(path, build_network("lgnet-mini", load_hand_layer()), {"preset": "lgnet-mini", "steps": 0})
    return path
