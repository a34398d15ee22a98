"""Batched skinning in numpy: forward kinematics, linear blend and dual-quaternion skinning."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]

PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)  # MANO: wrist, index, middle, pinky, ring, thumb


def forward_kinematics(rotations: Array, joints: Array) -> tuple[Array, Array, Array]:
    """Global transforms x -> R x + t of the 16 bones, and the posed joints.

    Shapes:
        rotations: (..., 16, 3, 3) about each rest joint; joints: (..., 16, 3).
        returns: R (..., 16, 3, 3), t (..., 16, 3), posed joints (..., 16, 3).
    """
    shape = np.broadcast_shapes(rotations.shape[:-3], joints.shape[:-2])
    orientations = np.zeros((*shape, 16, 3, 3))
    posed = np.zeros((*shape, 16, 3))
    for j, parent in enumerate(PARENTS):
        if parent < 0:
            orientations[..., j, :, :], posed[..., j, :] = rotations[..., j, :, :], joints[..., j, :]
            continue
        orientations[..., j, :, :] = orientations[..., parent, :, :] @ rotations[..., j, :, :]
        bone = joints[..., j, :] - joints[..., parent, :]
        posed[..., j, :] = posed[..., parent, :] + np.einsum("...ab,...b->...a", orientations[..., parent, :, :], bone)
    return orientations, posed - np.einsum("...jab,...jb->...ja", orientations, joints), posed


def linear_blend(orientations: Array, translations: Array, weights: Array) -> tuple[Array, Array]:
    """Per-vertex affine transforms (R, t) of linear blend skinning: (..., V, 3, 3), (..., V, 3)."""
    return np.einsum("vj,...jab->...vab", weights, orientations), np.einsum("vj,...ja->...va", weights, translations)


def dual_quaternion_blend(orientations: Array, translations: Array, weights: Array) -> tuple[Array, Array]:
    """Per-vertex rigid transforms (R, t) of dual-quaternion skinning: (..., V, 3, 3), (..., V, 3).

    Source: L. Kavan et al., "Geometric skinning with approximate dual quaternion blending", 2008.
    """
    quaternions = Rotation.from_matrix(orientations.reshape(-1, 3, 3)).as_quat()
    real = quaternions.reshape(*orientations.shape[:-2], 4)  # (..., J, xyzw)
    # Align signs along the kinematic tree: a fingertip rotated by more than 180 degrees relative to the wrist must
    # still blend along the shorter arc with its own neighbours.
    for j, parent in enumerate(PARENTS[1:], start=1):
        opposite = (real[..., j, :] * real[..., parent, :]).sum(-1, keepdims=True) < 0
        real[..., j, :] = np.where(opposite, -real[..., j, :], real[..., j, :])
    x, w = real[..., :3], real[..., 3:]
    vector, scalar = w * translations + np.cross(translations, x), -(translations * x).sum(-1, keepdims=True)
    dual = 0.5 * np.concatenate([vector, scalar], -1)  # t q / 2
    real, dual = weights @ real, weights @ dual
    norm = np.linalg.norm(real, axis=-1, keepdims=True)
    real, dual = real / norm, dual / norm
    x, w, dx, dw = real[..., :3], real[..., 3:], dual[..., :3], dual[..., 3:]
    blended_translations = 2 * (w * dx - dw * x + np.cross(x, dx))  # vector part of 2 dual conj(real)
    blended_rotations = Rotation.from_quat(real.reshape(-1, 4)).as_matrix().reshape(*real.shape[:-1], 3, 3)
    return blended_rotations, blended_translations


def transform_points(transforms: tuple[Array, Array], points: Array) -> Array:
    """Apply per-vertex transforms (R, t) to points (..., V, 3)."""
    return np.einsum("...vab,...vb->...va", transforms[0], points) + transforms[1]
