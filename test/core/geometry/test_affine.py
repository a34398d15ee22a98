"""Affine transforms: inverses, and the same transform in numpy and torch."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from lgnet_core.geometry.affine import (
    determinant_2x2,
    inverse_2x2,
    inverse_transform_points,
    invert_affine,
    transform_points,
)

COORDINATES = st.floats(-500, 2500, allow_nan=False)


@st.composite
def affines(draw) -> np.ndarray:
    """A rotation, a scale and a translation."""
    angle, scale = draw(st.floats(-3.1, 3.1)), draw(st.floats(0.1, 10))
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cos, -sin, draw(st.floats(-500, 500))], [sin, cos, draw(st.floats(-500, 500))]])


@given(affine=affines(), u=COORDINATES, v=COORDINATES)
def test_inverse_affine_undoes_the_transform(affine, u, v):
    point = np.array([[u, v]])
    transformed = transform_points(affine, point)
    assert np.abs(transform_points(invert_affine(affine), transformed) - point).max() < 1e-4


@given(affine=affines(), seed=st.integers(0, 1000))
def test_numpy_and_torch_agree_and_batches_broadcast(affine, seed):
    points = np.random.default_rng(seed).uniform(0, 500, (5, 2))
    expected = torch.from_numpy(transform_points(affine, points))
    tensor = torch.from_numpy(affine)
    assert_close(transform_points(tensor, torch.from_numpy(points)), expected)
    batch = tensor.expand(3, 2, 3)
    transformed = transform_points(batch, torch.from_numpy(points).expand(3, 5, 2))
    assert_close(transformed, expected.expand(3, 5, 2))
    assert_close(inverse_transform_points(batch, transformed)[0], torch.from_numpy(points), atol=1e-6, rtol=0)
    np.testing.assert_allclose(transform_points(affine, points[0]), expected[0])


def test_closed_form_inverse_and_determinant():
    matrix = torch.randn(7, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert_close(inverse_2x2(matrix), torch.linalg.inv(matrix))
    assert_close(determinant_2x2(matrix), torch.linalg.det(matrix))
