"""Hands in known poses, turned at random."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_core.hand_model import HandModel
from lgnet_core.hand_model.anatomy import angles_to_rotations
from lgnet_core.hand_model.finger_poses import preset, preset_names
from lgnet_core.types import Hand, Side

SEEDS = st.integers(0, 2**16)

SIDES = st.sampled_from(Side)

POSES = st.sampled_from(preset_names())


def posed(hand_model: HandModel, side: Side, pose: str, root: np.ndarray, wrist=(0.05, -0.02, 0.5)) -> Hand:
    """A hand of the model, its root turned by ``root`` and its wrist at ``wrist``."""
    rotations = angles_to_rotations(preset(pose), side)
    rotations[0] = torch.tensor(root)
    with torch.no_grad():
        mesh = hand_model(rotations[None], torch.zeros(1, 10), side=side).wrist_relative()
    vertices, joints = (x[0].double().numpy() + wrist for x in mesh)
    faces = hand_model.faces[side].numpy()
    std = np.full(21, 0.01)
    return Hand(side, 0.9, joints, vertices, faces, joints[:, :2], std, rotations.double().numpy(), np.zeros(10))


def facing(hand_model: HandModel, side: Side, away: float = 0.0) -> np.ndarray:
    """Root rotation (3, 3) of a hand with the palm towards the camera and the fingers up.

    Args:
        away: radians by which the palm then turns about the fingers.
    """
    axes = np.array([[0.0, -1, 0], [-1, 0, 0], [0, 0, -1]])  # columns: those of the hand frame, in the camera frame
    return Rotation.from_euler("y", away).as_matrix() @ axes @ HandFrames(hand_model).axes[side].T


def turn(seed: int) -> np.ndarray:
    return Rotation.random(random_state=seed).as_matrix()
