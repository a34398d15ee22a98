"""Capsule model: segment distances against brute force, agreement with joints and mesh of the hand model."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from lgnet_core.synthetic.rng import CounterRng
from lgnet_core.synthetic.scene.capsules import SEGMENTS, CapsuleHandModel, segment_parameters
from lgnet_core.synthetic.scene.poses import DEFAULT_STYLE_WEIGHTS, joint_rotations, sample_joint_angles


@pytest.fixture(scope="module")
def hands(hand_model):
    return CapsuleHandModel(hand_model)


def posed(count: int):
    rng = CounterRng(5, torch.arange(count))
    angles = sample_joint_angles(rng, "pose", rng.choice("style", DEFAULT_STYLE_WEIGHTS, 2))
    return joint_rotations(angles, rng.rotation("root", 2)), rng.normal("shape", 2, 10)


@given(st.integers(0, 2**31), st.booleans())
def test_segment_distance_equals_brute_force(seed, parallel):
    draw = torch.Generator().manual_seed(seed)
    a0, a1, b0, b1 = torch.randn(4, 3, generator=draw, dtype=torch.float64)
    if parallel:
        b1 = b0 + 0.7 * (a1 - a0)
    s, t = segment_parameters(a0, a1, b0, b1)
    distance = (a0 + s * (a1 - a0) - b0 - t * (b1 - b0)).norm()
    grid = torch.linspace(0, 1, 201, dtype=torch.float64)
    on_a, on_b = a0 + grid[:, None] * (a1 - a0), b0 + grid[:, None] * (b1 - b0)
    brute = torch.cdist(on_a, on_b).min()
    assert 0 <= s <= 1
    assert 0 <= t <= 1
    assert distance <= brute + 1e-9
    assert distance >= brute - 0.05


def test_capsule_points_match_hand_model_joints(hand_model, hands):
    """Joints match exactly, fingertips up to the skinning that capsules omit."""
    rotations, shape = posed(20)
    joints = hand_model(rotations, shape).wrist_relative().joints
    points = hands.pose(rotations, shape).points[:, :, :21]
    tips = [4, 8, 12, 16, 20]
    inner = [j for j in range(21) if j not in tips]
    assert_close(points[:, :, inner], joints[:, :, inner], atol=1e-5, rtol=0)
    assert (points[:, :, tips] - joints[:, :, tips]).norm(dim=-1).max() < 5e-3


def test_hand_frames_are_consistent_between_sides(hands):
    """Proper rotations with x towards the fingers, z out of the palm, y towards the right pinky and the left thumb."""
    assert_close(torch.linalg.det(hands.frames), torch.ones(2))
    flat = hands.pose(torch.eye(3).expand(1, 2, 16, 3, 3), torch.zeros(1, 2, 10))
    points = (flat.points @ hands.frames)[0]
    assert (points[:, 12, 0] > 0.15).all()  # middle fingertip
    assert points[0, 20, 1] > 0.03  # right pinky
    assert points[1, 4, 1] > 0.03  # left thumb
    bent = torch.eye(3).repeat(1, 2, 16, 1, 1)
    rng = CounterRng(0, torch.arange(1))
    bent = joint_rotations(sample_joint_angles(rng, "fist", torch.full((1, 2), 2)))
    fist = (hands.pose(bent, torch.zeros(1, 2, 10)).points @ hands.frames)[0]
    assert (fist[:, [8, 12, 16, 20], 2] > 0.005).all()  # fingers close on the palmar side


def test_capsules_approximate_mesh(hand_model, hands):
    """Most vertices are within a few millimetres of the surface of the capsules."""
    rotations, shape = posed(8)
    mesh = hand_model(rotations, shape).wrist_relative()
    capsules = hands.pose(rotations, shape)
    along = (capsules.end - capsules.start)[:, :, None]
    out = mesh.vertices[:, :, :, None] - capsules.start[:, :, None]
    t = ((out * along).sum(-1) / (along**2).sum(-1)).clamp(0, 1)
    distance = ((out - t[..., None] * along).norm(dim=-1) - capsules.radii[:, :, None]).amin(-1)
    assert distance.abs().median() < 3e-3
    assert distance.quantile(0.95) < 7e-3


def test_clearance_grows_with_distance(hands):
    rotations, shape = posed(6)
    capsules = hands.pose(rotations, shape)
    near = hands.pair_clearance(capsules.translate_left(torch.tensor([[0.05, 0.0, 0.0]]).expand(6, 3)))
    far = hands.pair_clearance(capsules.translate_left(torch.tensor([[2.0, 0.0, 0.0]]).expand(6, 3)))
    assert near.shape == (6, len(SEGMENTS), len(SEGMENTS))
    assert (far > 1.0).all()
    assert (near.amin((1, 2)) < 0).all()


def test_flat_hand_has_no_self_penetration(hands):
    flat = hands.pose(torch.eye(3).expand(1, 2, 16, 3, 3), torch.zeros(1, 2, 10))
    assert (hands.self_clearance(flat) > 0).all()
    assert_close(flat.radii[:, 0], flat.radii[:, 1], atol=1e-4, rtol=0)  # the bundled hands are mirror images
