"""Mesh stage: 6D rotations, initialisation, detached inputs and the rough mesh."""

import pytest
import roma
import torch
from torch.testing import assert_close

from lgnet_core.network.lgnet.mesh_stage import CameraHead, MeshStage, NonParametricMeshStage, rotation_from_6d

C = 16


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_6d_round_trip():
    rotations = roma.random_rotmat(20, dtype=torch.float64)
    assert_close(rotation_from_6d(rotations[..., :2].flatten(-2)), rotations)


def test_any_6d_gives_a_rotation_matrix():
    rotations = rotation_from_6d(torch.randn(100, 6, dtype=torch.float64))
    identity = torch.eye(3, dtype=torch.float64).expand(100, 3, 3)
    assert_close(rotations @ rotations.transpose(1, 2), identity)
    assert_close(torch.linalg.det(rotations), torch.ones(100, dtype=torch.float64))


def test_degenerate_6d_and_its_gradient_are_finite():
    columns = torch.tensor([[0.0] * 6, [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]], requires_grad=True)
    rotations = rotation_from_6d(columns)
    rotations.sum().backward()
    assert rotations.isfinite().all()
    assert columns.grad.isfinite().all()


def test_6d_gradients():
    columns = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(rotation_from_6d, columns)


@pytest.mark.parametrize("with_joints", [True, False])
def test_shapes(hand_model, with_joints):
    stage = MeshStage(C, 2, with_joints, hand_model)
    rough = stage(torch.randn(3, 2, 21, C), torch.rand(3, 2, 21, 3) if with_joints else None, hand_model)
    assert {name: tuple(value.shape) for name, value in rough._asdict().items()} == {
        "rotations": (3, 2, 16, 3, 3),
        "shape": (3, 2, 10),
        "camera": (3, 2, 3),
        "vertices": (3, 2, 778, 3),
        "joints": (3, 2, 21, 3),
        "joint_log_variance": (3, 2, 21),
    }


def test_regressor_input_contains_tokens_and_joints(hand_model):
    """21 tokens of c + 3: 10815 for c = 512."""
    stage = MeshStage(512, 1, True, hand_model)
    assert stage.regressor[0].rotations.in_features == 10815


def test_initial_prediction_is_the_mean_hand(hand_model):
    stage = MeshStage(C, 2, True, hand_model)
    joints = torch.rand(3, 2, 21, 3) * 2 - 1
    rough = stage(torch.randn(3, 2, 21, C), joints, hand_model)
    mean = hand_model.pose_to_rotations(torch.zeros(3, 2, 48))
    angle = roma.rotmat_geodesic_distance(rough.rotations, mean)
    assert angle.max() < 0.2
    assert rough.shape.abs().max() < 0.2
    assert_close(rough.camera[..., 0], torch.full((3, 2), 6.7), atol=0.1, rtol=0)
    assert_close(rough.camera[..., 1:], joints[:, :, 0, :2], atol=0.1, rtol=0)  # t at the wrist
    assert_close(rough.joint_log_variance.exp().sqrt(), torch.full((3, 2, 21), 0.03), atol=5e-3, rtol=0)


def test_rough_mesh_is_the_hand_models_mesh_relative_to_the_wrist(hand_model):
    stage = MeshStage(C, 1, True, hand_model)
    rough = stage(torch.randn(2, 2, 21, C), torch.rand(2, 2, 21, 3), hand_model)
    mesh = hand_model(rough.rotations, rough.shape)
    assert_close(rough.joints, mesh.joints - mesh.joints[:, :, :1])
    assert_close(rough.vertices, mesh.vertices - mesh.joints[:, :, :1])
    assert not rough.joints[:, :, 0].any()


def test_joints_are_detached_and_tokens_are_not(hand_model):
    stage = MeshStage(C, 1, True, hand_model)
    tokens = torch.randn(1, 2, 21, C, requires_grad=True)
    joints = torch.rand(1, 2, 21, 3, requires_grad=True)
    rough = stage(tokens, joints, hand_model)
    loss = rough.vertices.square().sum() + rough.camera.sum() + rough.joint_log_variance.sum()
    to_tokens, to_joints = torch.autograd.grad(loss, (tokens, joints), allow_unused=True)
    assert to_tokens.abs().max() > 0
    assert to_joints is None


def test_scale_is_never_negative():
    head = CameraHead(8, None)
    head.linear.weight.data.normal_(std=100)
    assert (head(torch.randn(100, 8))[:, 0] >= 0).all()


def test_mesh_stage_without_hand_model_parameters(hand_model):
    """The mesh depends on every token with skinning weights; rotations and shape stay at their means."""
    stage = NonParametricMeshStage(C, hand_model)
    tokens = torch.randn(2, 2, 21, C, requires_grad=True)
    rough = stage(tokens, None, hand_model)
    assert rough.vertices.shape == (2, 2, 778, 3)
    assert_close(rough.joints, hand_model.joints_from_vertices(rough.vertices), atol=1e-6, rtol=0)
    assert not rough.joints[:, :, 0].any()
    assert_close(rough.rotations, hand_model.pose_to_rotations(torch.zeros(2, 2, 48)))
    assert not rough.shape.any()
    gradient = torch.autograd.grad(rough.vertices.square().sum(), tokens)[0]
    influential = gradient.abs().amax((0, 1, 3)) > 0
    tips = torch.zeros(21, dtype=torch.bool)
    tips[[4, 8, 12, 16, 20]] = True  # no vertex is skinned to a fingertip
    assert torch.equal(influential, ~tips)
