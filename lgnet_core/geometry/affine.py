"""2D affine transforms of the image plane, and closed-form inverses of 2x2 matrices."""

from __future__ import annotations

import numpy as np
from array_api_compat import array_namespace

from lgnet_core.types import Array, FloatArray


def transform_points(affine: Array, points: Array) -> Array:
    """Apply affine transforms to points.

    Shapes:
        affine: (2, 3) with points (..., 2), or (..., 2, 3) with points (..., P, 2); returns the shape of ``points``.
    """
    translation = affine[:, 2] if affine.ndim == 2 else affine[..., None, :, 2]
    return points @ affine[..., :2].swapaxes(-1, -2) + translation


def inverse_transform_points(affine: Array, points: Array) -> Array:
    """Inverse of :func:`transform_points`. Shapes: (..., 2, 3), (..., P, 2) -> (..., P, 2)."""
    return (points - affine[..., None, :, 2]) @ inverse_2x2(affine[..., :2]).swapaxes(-1, -2)


def invert_affine(affine: FloatArray) -> FloatArray:
    """(2, 3) inverse of an affine transform (2, 3)."""
    linear = np.linalg.inv(affine[:, :2])
    return np.column_stack([linear, -linear @ affine[:, 2]])


def determinant_2x2(matrix: Array) -> Array:
    """Determinants of (..., 2, 2) matrices in closed form: ONNX has no solver."""
    return matrix[..., 0, 0] * matrix[..., 1, 1] - matrix[..., 0, 1] * matrix[..., 1, 0]


def inverse_2x2(matrix: Array) -> Array:
    """Inverses of (..., 2, 2) matrices in closed form."""
    xp = array_namespace(matrix)
    a, b, c, d = (matrix[..., i, j] for i in range(2) for j in range(2))
    adjugate = xp.stack([xp.stack([d, -b], axis=-1), xp.stack([-c, a], axis=-1)], axis=-2)
    return adjugate / determinant_2x2(matrix)[..., None, None]
