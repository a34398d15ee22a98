"""Forearms and sleeves: closed and oriented meshes, rigid motion with the hand, symmetry, lengths."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lgnet_core.synthetic.body.forearm import (
    ARM_STATIONS,
    HEM,
    LOOP_SIZE,
    MAX_DEVIATION,
    MAX_FLEXION,
    SKIN,
    SLEEVE,
    ForearmGeometry,
    boundary_loop,
    rigid_rotation,
)
from lgnet_core.synthetic.rng import CounterRng
from lgnet_core.types import Side


@pytest.fixture(scope="module")
def geometry(hand_model):
    return ForearmGeometry(hand_model)


def rest_hands(hand_model, batch=3):
    return hand_model.v_template.expand(batch, -1, -1, -1) + torch.tensor([0.0, 0.1, 0.6])


@pytest.mark.parametrize("side", list(Side))
def test_hand_mesh_has_one_hole_at_wrist(hand_model, side):
    faces = hand_model.faces[side]
    loop = boundary_loop(faces)
    assert len(loop) == LOOP_SIZE
    edges = {tuple(edge) for edge in torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).tolist()}
    for a, b in zip(loop.tolist(), loop.roll(-1).tolist()):
        assert (a, b) in edges
        assert (b, a) not in edges


def test_mesh_with_several_holes_is_rejected():
    with pytest.raises(ValueError, match="one hole"):
        boundary_loop(torch.tensor([[0, 1, 2], [3, 4, 5]]))


@pytest.mark.parametrize("side", list(Side))
def test_skin_mesh_is_closed_and_oriented(geometry, side):
    """Every edge of the skin mesh is shared by exactly two faces with opposite directions."""
    skin = geometry.faces[(geometry.face_material == SKIN) & (geometry.face_side == side)]
    edges = torch.cat([skin[:, [0, 1]], skin[:, [1, 2]], skin[:, [2, 0]]]).tolist()
    assert len({tuple(edge) for edge in edges}) == len(edges)
    assert {tuple(edge) for edge in edges} == {(b, a) for a, b in edges}


@pytest.mark.parametrize("side", list(Side))
def test_arm_and_sleeve_face_outwards(hand_model, geometry, side):
    """The enclosed volume is positive, sleeves face away from the arm, and hems face the fingers."""
    mesh, _ = geometry(rest_hands(hand_model), CounterRng(1, torch.arange(3)))

    def moments(material):
        faces = geometry.faces[(geometry.face_material == material) & (geometry.face_side == side)]
        corners = (mesh.vertices - mesh.vertices.mean(1, keepdim=True))[:, faces]
        normals = torch.linalg.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0])
        return corners, normals

    corners, normals = moments(SKIN)
    volume = (corners.mean(2) * normals).sum((1, 2)) / 6
    assert (volume > 3e-4).all()  # hand and 30 cm of forearm: about a litre
    assert (volume < 3e-3).all()
    axis = torch.tensor([1.0 if side is Side.RIGHT else -1.0, 0.0, 0.0])  # towards the elbow
    corners, normals = moments(SLEEVE)
    middle = corners.mean((1, 2), keepdim=True)
    away = corners.mean(2) - middle[:, 0]
    away = away - (away @ axis)[..., None] * axis
    assert ((away * normals).sum(-1) > -1e-6).float().mean() > 0.9
    _, normals = moments(HEM)
    assert ((normals @ axis) < 0).float().mean() > 0.95


def test_arms_move_rigidly_with_hand(hand_model, geometry):
    hands, rng = rest_hands(hand_model), CounterRng(2, torch.arange(3))
    turn = rng.rotation("turn")[:, None]
    still, _ = geometry(hands, rng)
    moved, _ = geometry(hands @ turn.transpose(-1, -2), rng)
    torch.testing.assert_close(moved.vertices, still.vertices @ turn[:, 0].transpose(-1, -2), rtol=0, atol=2e-5)
    torch.testing.assert_close(moved.rest, still.rest)


def test_left_arm_mirrors_right_arm(hand_model, geometry):
    """The rest pose of the left arm, without bend and folds, is the mirror image of the right one."""
    mesh, _ = geometry(rest_hands(hand_model), CounterRng(3, torch.arange(3)))
    right, left = mesh.rest.unflatten(1, (2, -1)).unbind(1)
    count = 778 + len(ARM_STATIONS) * LOOP_SIZE
    mirrored = right * torch.tensor([-1.0, 1.0, 1.0])
    distance = torch.cdist(mirrored[:, 778:count], left[:, 778:count]).amin(2)
    assert distance.max() < 1e-4


def test_arm_length_is_independent_of_bend(geometry):
    """The chords of a finely sampled centre line add up to its length."""
    stations = torch.linspace(0, 0.3, 301).expand(1, 2, -1)
    for bend in (0.0, 1e-7, 0.3, MAX_FLEXION + MAX_DEVIATION):
        line = geometry._bent(stations, torch.zeros(1, 2, 301, 1, 2), torch.full((1, 2, 2), bend / 2**0.5))[:, :, :, 0]
        length = (line[:, :, 1:] - line[:, :, :-1]).norm(dim=-1).sum(-1)
        torch.testing.assert_close(length, torch.full((1, 2), 0.3), rtol=0, atol=1e-5)
        last = line[:, :, -1] - line[:, :, -2]
        torch.testing.assert_close(last[..., 0] / last.norm(dim=-1), torch.full((1, 2), bend).cos(), rtol=0, atol=1e-3)


@given(seed=st.integers(0, 2**31 - 1), scale=st.floats(0.5, 2.0))
def test_rigid_rotation_recovers_rotation(seed, scale):
    rng = CounterRng(seed, torch.zeros(1, dtype=torch.int64))
    points, rotation, shift = rng.normal("points", 20, 3), rng.rotation("turn"), rng.normal("shift", 1, 3)
    result = rigid_rotation(points, scale * points @ rotation.transpose(1, 2) + shift)
    torch.testing.assert_close(result, rotation, rtol=0, atol=1e-5)


def test_sleeves_have_all_lengths(hand_model, geometry):
    rng = CounterRng(4, torch.arange(300))
    stations, widening, worn = geometry._sample_sleeves(rng)
    assert 0.4 < worn.float().mean() < 0.8
    assert (worn[:, 0] == worn[:, 1]).float().mean() > 0.85
    start = stations[..., 0]
    assert start.min() < -0.01  # over the wrist
    assert start.max() > 0.12  # half-way up the forearm
    assert (widening[:, :, 1:] >= 1.05).all()
