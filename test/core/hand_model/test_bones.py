"""Bone rotations: global rotations against the hand layer, minimal rotations and bone alignment."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from support.bones import BONES, directions, random_rotations

from lgnet_core.hand_model.bones import align_bones, global_rotations, local_rotations, minimal_rotation
from lgnet_core.types import Side

SEEDS = st.integers(0, 2**20)


def random_hand(hand_model, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (2, 16, 3, 3) and joints (2, 21, 3) of a pair of mean hands."""
    rotations = random_rotations(seed, 2, 16)
    with torch.inference_mode():
        joints = hand_model(torch.tensor(rotations[None]).float(), torch.zeros(1, 2, 10)).joints[0]
    return rotations, joints.double().numpy()


@given(seed=SEEDS)
def test_global_rotations_map_rest_bones_to_posed_bones(hand_model, seed):
    rotations, joints = random_hand(hand_model, seed)
    rest = hand_model.joints_from_vertices(hand_model.v_template).double().numpy()
    turns = global_rotations(rotations)
    for end in BONES:
        start = end - 1
        turn = turns[:, 1 + 3 * ((start - 1) // 4) + (start - 1) % 4]
        bone = (turn @ (rest[:, end] - rest[:, start])[..., None])[..., 0]
        np.testing.assert_allclose(joints[:, end] - joints[:, start], bone, atol=1e-6)


@given(seed=SEEDS)
def test_local_rotations_invert_global_rotations(seed):
    rotations = random_rotations(seed, 3, 2, 16)
    before = rotations.copy()
    np.testing.assert_allclose(local_rotations(global_rotations(rotations)), rotations, atol=1e-12)
    np.testing.assert_array_equal(rotations, before)


@given(seed=SEEDS)
def test_minimal_rotation_aligns_directions_without_twist(seed):
    start, target = np.random.default_rng(seed).normal(size=(2, 7, 3))
    turn = minimal_rotation(start, target)
    unit = [v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (start, target)]
    np.testing.assert_allclose((turn @ unit[0][..., None])[..., 0], unit[1], atol=1e-9)
    axes = Rotation.from_matrix(turn).as_rotvec()
    np.testing.assert_allclose((axes * start).sum(-1), 0, atol=1e-7)
    np.testing.assert_allclose(np.linalg.norm(axes, axis=-1), np.arccos((unit[0] * unit[1]).sum(-1)), atol=1e-7)


@pytest.mark.parametrize("axis", [(1.0, 0, 0), (0, -2.0, 0), (1.0, 1.0, 1.0)])
def test_minimal_rotation_of_opposite_directions_is_a_half_turn(axis):
    turn = minimal_rotation(np.array(axis), -np.array(axis))
    np.testing.assert_allclose(turn @ axis, -np.array(axis), atol=1e-9)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(turn) == pytest.approx(1)


@given(seed=SEEDS)
def test_align_bones_aligns_every_finger_bone(hand_model, seed):
    """Exactly, except for the bones at the wrist, which are aligned in the least-squares sense."""
    (_, start), (_, target) = (random_hand(hand_model, s) for s in (seed, seed + 1))
    found = align_bones(start, target)
    ours, theirs = directions(start), directions(target)
    for end in (joint for joint in range(1, 21) if joint % 4 != 1):
        turn = found[:, 1 + 3 * ((end - 2) // 4) + (end - 2) % 4]
        np.testing.assert_allclose((turn @ ours[:, end - 1, :, None])[..., 0], theirs[:, end - 1], atol=1e-9)


@given(seed=SEEDS)
def test_align_bones_is_equivariant_to_rotation(hand_model, seed):
    """A rotated copy of a hand needs the same rotation for every bone."""
    (_, start), (_, target) = (random_hand(hand_model, s) for s in (seed, seed + 1))
    turn, other = random_rotations(seed + 2, 2, spread=2.0)
    same = np.broadcast_to(turn, (2, 16, 3, 3))
    np.testing.assert_allclose(align_bones(start, start @ turn.T), same, atol=1e-6)
    expected = other @ align_bones(start, target) @ turn.T
    np.testing.assert_allclose(align_bones(start @ turn.T, target @ other.T), expected, atol=1e-6)


@pytest.mark.parametrize("side", Side)
def test_align_bones_of_mirror_images_gives_proper_rotations(hand_model, side):
    _, joints = random_hand(hand_model, 3)
    found = align_bones(joints[side], joints[side.other])
    np.testing.assert_allclose(np.linalg.det(found), 1, atol=1e-9)
