"""Skinning in numpy, batched over poses or samples: forward kinematics, linear blend and dual-quaternion skinning."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]

PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)  # MANO: wrist, index, middle, pinky, ring, thumb


def forward_kinematics(rotations: Array, joints: Array) -> tuple[Array, Array, Array]:
    """Global motions x -> R x + t of the 16 bones, and the posed joints.

    Shapes:
        rotations: (..., 16, 3, 3) about each rest joint; joints: (..., 16, 3).
        returns: R (..., 16, 3, 3), t (..., 16, 3), posed joints (..., 16, 3).
    """
    shape = np.broadcast_shapes(rotations.shape[:-3], joints.shape[:-2])
    turns = np.zeros((*shape, 16, 3, 3))
    posed = np.zeros((*shape, 16, 3))
    for j, parent in enumerate(PARENTS):
        if parent < 0:
            turns[..., j, :, :], posed[..., j, :] = rotations[..., j, :, :], joints[..., j, :]
            continue
        turns[..., j, :, :] = turns[..., parent, :, :] @ rotations[..., j, :, :]
        bone = joints[..., j, :] - joints[..., parent, :]
        posed[..., j, :] = posed[..., parent, :] + np.einsum("...ab,...b->...a", turns[..., parent, :, :], bone)
    return turns, posed - np.einsum("...jab,...jb->...ja", turns, joints), posed


def linear_blend(turns: Array, shifts: Array, weights: Array) -> tuple[Array, Array]:
    """Per-vertex affine maps (R, t) of linear blend skinning: (..., V, 3, 3), (..., V, 3)."""
    return np.einsum("vj,...jab->...vab", weights, turns), np.einsum("vj,...ja->...va", weights, shifts)


def dual_quaternion_blend(turns: Array, shifts: Array, weights: Array) -> tuple[Array, Array]:
    """Per-vertex rigid motions (R, t) of dual-quaternion skinning: (..., V, 3, 3), (..., V, 3).

    Source: L. Kavan et al., "Geometric skinning with approximate dual quaternion blending", 2008.
    """
    real = Rotation.from_matrix(turns.reshape(-1, 3, 3)).as_quat().reshape(*turns.shape[:-2], 4)  # (..., J, xyzw)
    # Signs follow the kinematic tree: a fingertip turned by more than 180 degrees against the wrist must still blend
    # with its own neighbours by the short way.
    for j, parent in enumerate(PARENTS[1:], start=1):
        against = (real[..., j, :] * real[..., parent, :]).sum(-1, keepdims=True) < 0
        real[..., j, :] = np.where(against, -real[..., j, :], real[..., j, :])
    x, w = real[..., :3], real[..., 3:]
    dual = 0.5 * np.concatenate([w * shifts + np.cross(shifts, x), -(shifts * x).sum(-1, keepdims=True)], -1)  # t q / 2
    real, dual = weights @ real, weights @ dual
    norm = np.linalg.norm(real, axis=-1, keepdims=True)
    real, dual = real / norm, dual / norm
    x, w, dx, dw = real[..., :3], real[..., 3:], dual[..., :3], dual[..., 3:]
    blended_shift = 2 * (w * dx - dw * x + np.cross(x, dx))  # vector part of 2 dual conj(real)
    blended_turns = Rotation.from_quat(real.reshape(-1, 4)).as_matrix().reshape(*real.shape[:-1], 3, 3)
    return blended_turns, blended_shift


def move(maps: tuple[Array, Array], points: Array) -> Array:
    """Apply per-vertex maps (R, t) to points (..., V, 3)."""
    return np.einsum("...vab,...vb->...va", maps[0], points) + maps[1]
