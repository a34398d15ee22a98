"""Lookups in a tree of frames, against products of matrices."""

from __future__ import annotations

import numpy as np
import pytest
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


@pytest.mark.parametrize(
    ("position", "quaternion", "problem"),
    [
        ([np.nan, 0, 0], [0, 0, 0, 1], "not finite"),
        ([0, 0, 0], [np.inf, 0, 0, 1], "not finite"),
        ([0, 0, 0], [0, 0, 0, 0], "norm 0, expected 1"),
    ],
)
def test_invalid_poses_are_refused_and_leave_the_tree_as_it_was(position, quaternion, problem) -> None:
    tree = TransformTree()
    tree.set("a", "b", Pose(np.array([1.0, 0, 0]), np.array([0.0, 0, 0, 1])))
    with pytest.raises(ValueError, match=problem):
        tree.set("a", "b", Pose(np.array(position, float), np.array(quaternion, float)))
    np.testing.assert_allclose(tree.lookup("a", "b").position, [1, 0, 0])


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
