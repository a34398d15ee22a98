"""Smoothing of displacements over a mesh."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lgnet_core.types import FloatArray


def mesh_edges(faces: NDArray[np.integer]) -> NDArray[np.int64]:
    """Edges (E, 2) of a mesh (F, 3), each once, smaller index first, sorted."""
    return unique_edges(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]))


def unique_edges(edges: NDArray[np.integer]) -> NDArray[np.int64]:
    """Edges (N, 2) of any order and direction as :func:`mesh_edges` returns them."""
    return np.unique(np.sort(edges, axis=1), axis=0).astype(np.int64)


def fairing_matrix(edges: NDArray[np.integer], count: int, strength: float) -> FloatArray:
    r"""Smoothing matrix of one step of implicit fairing: :math:`(I + \lambda L)^{-1}`, graph Laplacian L = D - A.

    A low-pass filter on the graph that leaves constant fields unchanged. Source: Desbrun et al. 1999, "Implicit Fairing
    of Irregular Meshes using Diffusion and Curvature Flow", with uniform weights.

    Args:
        edges: each edge once. count: number of nodes. strength: lambda.

    Shapes:
        edges: (E, 2); returns (N, N) float32, symmetric, rows sum to 1.
    """
    adjacency = np.zeros((count, count))
    adjacency[edges[:, 0], edges[:, 1]] = adjacency[edges[:, 1], edges[:, 0]] = 1
    laplacian = np.diag(adjacency.sum(1)) - adjacency
    return np.linalg.inv(np.eye(count) + strength * laplacian).astype(np.float32)
