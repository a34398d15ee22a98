"""Bones of random hands, and their directions."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from lgnet_core.types import JOINT_PARENTS

TIPS = (4, 8, 12, 16, 20)

BONES = [joint for joint in range(1, 21) if joint % 4 != 1 and joint not in TIPS]  # ends of bones between two joints


def random_rotations(seed: int, *shape: int, spread: float = 0.5) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(0, spread, (int(np.prod(shape)), 3))
    return Rotation.from_rotvec(vectors).as_matrix().reshape(*shape, 3, 3)


def directions(joints: np.ndarray) -> np.ndarray:
    """(..., 20, 3) unit bones, each ending at joint 1 to 20."""
    bones = joints[..., 1:, :] - joints[..., list(JOINT_PARENTS[1:]), :]
    return bones / np.linalg.norm(bones, axis=-1, keepdims=True)
