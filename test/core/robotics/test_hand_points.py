"""Points of hands: the same answer as a dense search, and the points of the mesh."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from support.posed_hands import POSES, SEEDS, SIDES, posed, turn

from lgnet_core.geometry.hand_frame import Pose
from lgnet_core.hand_model import load_hand_layer
from lgnet_core.robotics.capsules import Capsules, HandCapsules
from lgnet_core.robotics.hand_points import in_hands
from lgnet_core.types import Side

HAND_MODEL = load_hand_layer()
CAPSULES = HandCapsules(HAND_MODEL)


def depths(points: np.ndarray, capsules: Capsules) -> np.ndarray:
    """Depth of each point in the deepest capsule, by a closed form in double precision, capsule by capsule."""
    deepest = np.full(len(points), -np.inf)
    for start, end, radius in zip(*capsules):
        along = (end - start) / np.linalg.norm(end - start)
        position = np.clip((points - start) @ along, 0, np.linalg.norm(end - start))
        distance = np.linalg.norm(points - start - position[:, None] * along, axis=1)
        deepest = np.maximum(deepest, radius - distance)
    return deepest


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(POSES, SIDES, SEEDS)
def test_same_as_a_dense_search(dtype: type, pose: str, side: Side, seed: int) -> None:
    hand = posed(HAND_MODEL, side, pose, turn(seed))
    capsules = CAPSULES(hand.vertices, side)
    random = np.random.default_rng(seed)
    points = (hand.vertices[random.integers(0, 778, 9000)] + 0.03 * random.normal(size=(9000, 3))).astype(dtype)
    padding = 0.01
    depth = depths(points, capsules) + padding
    certain = np.abs(depth) > 1e-5
    np.testing.assert_array_equal(in_hands(points, [capsules], padding)[certain], depth[certain] > 0)
    assert 0 < (depth > 0).sum() < len(points)


@given(POSES, SEEDS)
def test_vertices_are_inside_and_both_hands_count(pose: str, seed: int) -> None:
    hands = [posed(HAND_MODEL, side, pose, turn(seed + side), (0.3 * side, 0, 0.5 + side)) for side in Side]
    capsules = [CAPSULES(hand.vertices, hand.side) for hand in hands]
    vertices = np.concatenate([hand.vertices for hand in hands])
    assert in_hands(vertices, capsules, 1e-4).all()
    far = vertices + np.array([0, 0, 5.0])
    assert not in_hands(far, capsules, 0.05).any()
    assert not in_hands(vertices, [], 0.05).any()


def test_points_without_coordinates_are_in_no_hand() -> None:
    hand = posed(HAND_MODEL, Side.RIGHT, "open", np.eye(3))
    points = np.full((5, 3), np.nan)
    points[0] = hand.joints[9]
    points[1, :2] = hand.joints[9, :2]
    inside = in_hands(points, [CAPSULES(hand.vertices, Side.RIGHT)])
    np.testing.assert_array_equal(inside, [True, False, False, False, False])
    assert in_hands(np.zeros((0, 3)), [CAPSULES(hand.vertices, Side.RIGHT)]).shape == (0,)


@given(SEEDS)
def test_capsules_move_with_a_frame(seed: int) -> None:
    hand = posed(HAND_MODEL, Side.LEFT, "relaxed", np.eye(3))
    pose = Pose.from_matrix(np.array([0.1, -0.2, 0.3]), turn(seed))
    moved = CAPSULES(hand.vertices, Side.LEFT).transformed(pose)
    assert in_hands(hand.vertices @ pose.rotation.T + pose.position, [moved], 1e-4).all()
