"""Capsules enclose the mesh, follow it rigidly, and are the same on both hands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from support.posed_hands import POSES, SEEDS, SIDES, posed, turn

from lgnet_core.hand_model import HandLayer, load_hand_layer
from lgnet_core.robotics.capsules import SEGMENTS, Capsules, HandCapsules
from lgnet_core.types import Side

HAND_MODEL = load_hand_layer()
CAPSULES = HandCapsules(HAND_MODEL)


def depths(points: np.ndarray, capsules: Capsules) -> np.ndarray:
    """Depth of points in the union of the capsules, by dense sampling of the segments."""
    fractions = np.linspace(0, 1, 201)[:, None, None]
    samples = capsules.start + fractions * (capsules.end - capsules.start)  # (201, C, 3)
    distances = np.linalg.norm(points[:, None, None] - samples, axis=-1).min(1)
    return (capsules.radii - distances).max(-1)


@given(POSES, SIDES, SEEDS)
def test_capsules_enclose_every_vertex(pose: str, side: Side, seed: int) -> None:
    hand = posed(HAND_MODEL, side, pose, turn(seed))
    inside = depths(hand.vertices[::5], CAPSULES(hand.vertices, side))
    assert inside.min() > -1e-4


@given(POSES, SIDES, SEEDS)
def test_capsules_move_with_the_hand(pose: str, side: Side, seed: int) -> None:
    still, moved = posed(HAND_MODEL, side, pose, np.eye(3), (0, 0, 0)), posed(HAND_MODEL, side, pose, turn(seed))
    a, b = CAPSULES(still.vertices, side), CAPSULES(moved.vertices, side)
    for name in ("start", "end"):
        expected = getattr(a, name) @ turn(seed).T + moved.joints[0]
        np.testing.assert_allclose(getattr(b, name), expected, atol=1e-6)
    np.testing.assert_allclose(b.radii, a.radii, atol=1e-6)


def test_capsules_of_the_left_hand_are_the_mirror_image(hand_model: HandLayer) -> None:
    right, left = (CAPSULES(hand_model.v_template[side].numpy(), side) for side in Side)
    np.testing.assert_allclose(left.start, right.start * [-1, 1, 1], atol=1e-6)
    np.testing.assert_allclose(left.radii, right.radii, atol=1e-6)


@pytest.mark.parametrize("side", list(Side))
def test_capsules_are_no_larger_than_needed(side: Side, hand_model: HandLayer) -> None:
    """End bones of the fingers are 12 to 22 mm across, the thumb's up to 25 mm, the palm less than 7 cm."""
    capsules = CAPSULES(hand_model.v_template[side].numpy(), side)
    tips = [k for k, (_, end) in enumerate(SEGMENTS) if end % 4 == 0]
    limits = np.array([12.5e-3 if SEGMENTS[k][1] == 4 else 11e-3 for k in tips])
    assert np.all((capsules.radii[tips] > 6e-3) & (capsules.radii[tips] < limits))
    assert capsules.radii.max() < 35e-3


def test_joints_are_those_of_the_hand_model() -> None:
    hand = posed(HAND_MODEL, Side.LEFT, "relaxed", turn(3))
    np.testing.assert_allclose(CAPSULES.joints(hand.vertices, Side.LEFT)[4::4], hand.joints[4::4], atol=1e-6)
