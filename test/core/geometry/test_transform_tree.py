"""Lookups in a tree of frames, against products of matrices."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from scipy.spatial.transform import Rotation
from support.posed_hands import SEEDS

from lgnet_core.geometry.hand_frame import Pose
from lgnet_core.geometry.transform_tree import TransformTree

TREE = {"base": "map", "arm": "base", "hand": "arm", "camera": "base", "optical": "camera"}  # child: parent


def matrix(pose: Pose) -> np.ndarray:
    result = np.eye(4)
    result[:3, :3], result[:3, 3] = Rotation.from_quat(pose.quaternion).as_matrix(), pose.position
    return result


@given(SEEDS)
def test_lookup_composes_along_the_tree(seed: int) -> None:
    random = np.random.default_rng(seed)
    tree, in_map = TransformTree(), {"map": np.eye(4)}
    for child, parent in TREE.items():
        pose = Pose(random.normal(size=3), Rotation.random(random_state=random.integers(2**31)).as_quat())
        tree.set(parent, child, pose)
        in_map[child] = in_map[parent] @ matrix(pose)
    for target in in_map:
        for source in in_map:
            expected = np.linalg.inv(in_map[target]) @ in_map[source]
            np.testing.assert_allclose(matrix(tree.lookup(target, source)), expected, atol=1e-9)


def test_unconnected_frames_and_loops() -> None:
    tree = TransformTree()
    step = Pose(np.array([1.0, 0, 0]), np.array([0.0, 0, 0, 1]))
    tree.set("a", "b", step)
    assert tree.lookup("a", "elsewhere") is None
    tree.set("b", "a", step)
    assert tree.lookup("a", "elsewhere") is None
    assert tree.lookup("a", "b") is not None
    tree.set("c", "b", step)  # another parent, the latest, replaces the first
    np.testing.assert_allclose(tree.lookup("c", "b").position, [1, 0, 0])
