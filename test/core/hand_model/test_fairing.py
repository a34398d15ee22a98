"""Fairing of a mesh: edges and smoothing matrix."""

from __future__ import annotations

import numpy as np

from lgnet_core.hand_model import HandLayer
from lgnet_core.hand_model.fairing import fairing_matrix, mesh_edges
from lgnet_core.types import Side


def test_fairing_matrix_is_symmetric_and_preserves_constants(hand_model: HandLayer):
    edges = mesh_edges(hand_model.faces[Side.RIGHT].numpy())
    np.testing.assert_array_equal(edges, hand_model.graph.edges)
    matrix = fairing_matrix(edges, 778, 3.0)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-7)
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-5)
    assert (matrix >= -1e-7).all(), "a weighted average, without overshoot"


def test_each_edge_is_there_once():
    faces = np.array([[0, 1, 2], [2, 1, 3]])
    assert mesh_edges(faces).tolist() == [[0, 1], [0, 2], [1, 2], [1, 3], [2, 3]]
