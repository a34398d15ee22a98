"""Vertex normals of triangle meshes, and surfaces offset along them."""

from __future__ import annotations

import numpy as np

from lgnet_core.types import FloatArray


def vertex_normals(vertices: FloatArray, faces: FloatArray) -> FloatArray:
    """Area-weighted unit normals (V, 3) of vertices (V, 3), outward if the faces (F, 3) are wound counter-clockwise."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    weighted = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for axis in range(3):
        normals[:, axis] = np.bincount(faces.T.reshape(-1), np.tile(weighted[:, axis], 3), len(vertices))
    return normals / np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-12)


def padded(vertices: FloatArray, faces: FloatArray, padding: float) -> FloatArray:
    """Vertices (V, 3) moved outwards by ``padding`` metres along their normals."""
    return vertices + padding * vertex_normals(vertices, faces) if padding else vertices
