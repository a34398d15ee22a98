"""Rigid transforms in the files of data sets."""

from __future__ import annotations

import numpy as np

from lgnet_core.types import FloatArray


def pose_matrix(translation: FloatArray, quaternion: FloatArray) -> FloatArray:
    """Rigid transforms from translations and quaternions (w, x, y, z), which are normalised.

    Shapes:
        translation: (..., 3); quaternion: (..., 4), not zero; returns (..., 4, 4).
    """
    w, x, y, z = np.moveaxis(quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True), -1, 0)
    matrix = np.zeros((*np.shape(w), 4, 4))
    matrix[..., 0, :3] = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1)
    matrix[..., 1, :3] = np.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1)
    matrix[..., 2, :3] = np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1)
    matrix[..., :3, 3], matrix[..., 3, 3] = translation, 1
    return matrix


def transform(matrix: FloatArray, points: FloatArray) -> FloatArray:
    """Transform points. Shapes: matrix (..., 4, 4); points (..., P, 3), leading dimensions broadcast."""
    return points @ np.swapaxes(matrix[..., :3, :3], -1, -2) + matrix[..., None, :3, 3]
