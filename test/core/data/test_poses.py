"""Rigid transforms against scipy."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from lgnet_core.data.poses import pose_matrix, transform


def test_equals_scipy():
    rng = np.random.default_rng(0)
    quaternions, translations, points = rng.normal(size=(20, 4)), rng.normal(size=(20, 3)), rng.normal(size=(20, 5, 3))
    rotations = Rotation.from_quat(quaternions[:, [1, 2, 3, 0]])  # w last
    matrices = pose_matrix(translations, quaternions)
    np.testing.assert_allclose(matrices[:, :3, :3], rotations.as_matrix(), atol=1e-12)
    moved = transform(matrices, points)
    for k in range(20):
        np.testing.assert_allclose(moved[k], rotations[k].apply(points[k]) + translations[k], atol=1e-12)
    single = pose_matrix(translations[0], quaternions[0])
    np.testing.assert_allclose(single, matrices[0], atol=1e-12)
    np.testing.assert_allclose(single[3], [0, 0, 0, 1])
