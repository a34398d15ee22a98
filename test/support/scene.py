"""Posed hands in front of a camera, with ground truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from lgnet_core.geometry.camera import project_distorted
from lgnet_core.hand_model import HandModel
from lgnet_core.types import Camera


@dataclass(eq=False)
class Scene:
    """Ground truth of two hands in front of a camera.

    Shapes:
        joints: (2, 21, 3), vertices: (2, 778, 3) metres, camera frame; rotations: (2, 16, 3, 3); shape: (2, 10);
        presence: (2,) bool.
    """

    camera: Camera
    joints: np.ndarray
    vertices: np.ndarray
    rotations: np.ndarray
    shape: np.ndarray
    presence: np.ndarray

    @property
    def pixels(self) -> np.ndarray:
        """(2, 21, 2) projected joints, including lens distortion."""
        return np.stack([project_distorted(hand, self.camera) for hand in self.joints])


def make_scene(hand_model: HandModel, camera: Camera, wrists: np.ndarray, presence: tuple, seed: int = 0) -> Scene:
    """Randomly posed hands with their wrists at ``wrists`` (2, 3) metres, camera frame."""
    rng = np.random.default_rng(seed)
    rotations = Rotation.from_rotvec(rng.normal(0, 0.25, (32, 3))).as_matrix().reshape(2, 16, 3, 3)
    rotations[:, 0] = Rotation.random(2, random_state=seed).as_matrix()
    shape = rng.normal(0, 1, (2, 10))
    with torch.no_grad():
        mesh = hand_model(
            torch.tensor(rotations[None], dtype=torch.float32), torch.tensor(shape[None], dtype=torch.float32)
        ).wrist_relative()
    root = np.asarray(wrists, float)[:, None]
    vertices, joints = (points[0].double().numpy() + root for points in mesh)
    return Scene(camera, joints, vertices, rotations, shape, np.array(presence))


def point_at(u: float, v: float, depth: float, camera: Camera) -> np.ndarray:
    """(3,) metres: the point at a pixel and depth of the undistorted camera."""
    return np.append(np.linalg.inv(camera.matrix[:2, :2]) @ ([u, v] - camera.matrix[:2, 2]) * depth, depth)
