"""A plain z-buffer of triangles, independent of the project's renderers."""

from __future__ import annotations

import numpy as np

from lgnet_core.types import Camera, FloatArray


def render_depth(meshes: list[tuple[FloatArray, FloatArray]], camera: Camera) -> FloatArray:
    """Depth (H, W) metres of meshes (vertices (V, 3), faces (F, 3)) seen by a pinhole camera; 0 where there is none."""
    depth = np.full((camera.height, camera.width), np.inf)
    for vertices, faces in meshes:
        homogeneous = vertices @ camera.matrix.T
        pixels = homogeneous[:, :2] / homogeneous[:, 2:]
        for face in faces:
            triangle, z = pixels[face], vertices[face, 2]
            low = np.maximum(np.ceil(triangle.min(0)).astype(int), 0)
            high = np.minimum(np.floor(triangle.max(0)).astype(int), [camera.width - 1, camera.height - 1])
            if (low > high).any():
                continue
            u, v = np.meshgrid(np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1))
            system = np.vstack([triangle.T, np.ones(3)])
            if abs(np.linalg.det(system)) < 1e-9:
                continue
            weights = np.linalg.solve(system, np.stack([u.ravel(), v.ravel(), np.ones(u.size)]))
            inside = (weights >= 0).all(0)
            inverse = (weights / z[:, None]).sum(0)  # 1 / z is linear in the image
            rows, columns = v.ravel()[inside], u.ravel()[inside]
            depth[rows, columns] = np.minimum(depth[rows, columns], 1 / inverse[inside])
    return np.where(np.isfinite(depth), depth, 0.0)
