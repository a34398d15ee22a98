import math
from dataclasses import fields

import numpy as np
import pytest
import roma
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.random_batch import SIZE, random_batch

from lgnet_core.data.sample import HandsBatch
from lgnet_core.geometry.coordinates import depth_to_grid, pixels_to_grid
from lgnet_core.network import HandsPrediction
from lgnet_core.training.losses import terms as losses
from lgnet_core.training.losses.config import LOSS_PRESETS, LossWeights, loss_weights
from lgnet_core.training.losses.criterion import HandsLoss
from lgnet_core.training.losses.terms import MeshTables

DEPTH_BOX = 0.5


@pytest.fixture(scope="module")
def tables(hand_model):
    return MeshTables(hand_model)


def perfect_prediction(hand_model, batch: HandsBatch) -> HandsPrediction:
    """Ground truth as the prediction of a network."""
    labels = batch.labels(hand_model)
    root = batch.wrist[:, :, None]
    joints, vertices = labels.joints - root, labels.vertices - root
    depth = depth_to_grid(joints[..., 2:], DEPTH_BOX, 8)
    scale = batch.intrinsics[:, None, 0, 0] / batch.wrist[..., 2] / (SIZE / 2)
    wrist_pixels = (2 * labels.joints_2d[:, :, 0] + 1) / SIZE - 1
    return HandsPrediction(
        joints_grid=torch.cat([pixels_to_grid(labels.joints_2d, SIZE, SIZE // 32), depth], -1),
        joint_log_variance=torch.full((len(batch), 2, 21), -8.0),
        presence_logits=torch.where(batch.presence, 20.0, -20.0),
        rotations=batch.rotations,
        shape=batch.shape,
        camera=torch.cat([scale[..., None], wrist_pixels], -1),
        rough_vertices=vertices,
        rough_joints=joints,
        vertices=vertices,
        joints=joints,
        relative_translation=labels.relative_translation,
    )


def all_true(*shape):
    return torch.ones(*shape, dtype=torch.bool)


def test_mesh_tables_match_the_faces(hand_model, tables):
    """Edges, their faces and their counts against a loop over the faces."""
    faces = hand_model.faces[0].tolist()
    pairs = [tuple(sorted(p)) for a, b, c in faces for p in ((a, b), (b, c), (c, a))]
    edges = [tuple(e) for e in tables.edges.tolist()]
    assert set(pairs) == set(edges)
    assert tables.faces_of_edge.tolist() == [pairs.count(e) for e in edges]
    assert int(tables.faces_of_edge.sum()) == 3 * len(faces) == 3 * 1538
    for edge, with_faces in list(zip(edges, tables.edge_faces.tolist()))[::100]:
        assert {f for f in with_faces if f < len(faces)} == {k for k, f in enumerate(faces) if set(edge) <= set(f)}


@given(st.integers(0, 10**6))
def test_laplacian_of_a_constant_error_is_zero(hand_model, tables, seed):
    g = torch.Generator().manual_seed(seed)
    target = torch.randn(2, 778, 3, generator=g)
    shifted = target + torch.randn(2, 1, 3, generator=g)
    assert losses.laplacian_loss(shifted, target, tables.laplacian, all_true(2)) < 1e-10


def test_laplacian_of_a_single_vertex_error(hand_model, tables):
    """An error e of one vertex differs by e from its neighbours' mean, and by e / degree(k) for each neighbour k."""
    vertex, e = 100, 0.01
    target = torch.zeros(1, 778, 3)
    displaced = target.clone()
    displaced[0, vertex, 1] = e
    edges = hand_model.graph.edges
    degree = torch.bincount(edges.flatten(), minlength=778).double()
    neighbours = torch.cat([edges[edges[:, 0] == vertex, 1], edges[edges[:, 1] == vertex, 0]])
    expected = e**2 * (1 + (1 / degree[neighbours] ** 2).sum()) / 778
    loss = losses.laplacian_loss(displaced, target, tables.laplacian, all_true(1))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_normal_loss_is_zero_on_the_ground_truth(hand_model, tables):
    vertices = random_batch(hand_model).labels(hand_model).vertices
    loss = losses.normal_loss(tables.edge_vectors(vertices), tables.edge_normals(vertices), all_true(2, 2), 3 * 1538)
    assert loss < 2e-5


def test_normal_loss_against_numpy(hand_model, tables):
    g = torch.Generator().manual_seed(1)
    target = random_batch(hand_model).labels(hand_model).vertices[:, 1]
    predicted = target + 0.003 * torch.randn(target.shape, generator=g)
    loss = losses.normal_loss(tables.edge_vectors(predicted), tables.edge_normals(target), all_true(2), 3 * 1538)

    values = []
    for v, t in zip(predicted.double().numpy(), target.double().numpy()):
        for a, b, c in hand_model.faces[1].numpy():  # the left hand's winding: the sign does not matter
            n = np.cross(t[b] - t[a], t[c] - t[a])
            n /= np.linalg.norm(n)
            for p, q in ((a, b), (b, c), (c, a)):
                e = v[q] - v[p]
                values.append(abs(e @ n) / np.linalg.norm(e))
    assert loss.item() == pytest.approx(np.mean(values), rel=1e-3)


def test_edge_loss_against_numpy(hand_model, tables):
    g = torch.Generator().manual_seed(2)
    target = random_batch(hand_model).labels(hand_model).vertices[:, 0]
    predicted = target + 0.003 * torch.randn(target.shape, generator=g)
    loss = losses.edge_length_loss(
        tables.edge_vectors(predicted), tables.edge_vectors(target), tables.faces_of_edge, all_true(2)
    )
    f = hand_model.faces[0].numpy()

    def lengths(x):
        corners = x.double().numpy()[:, f]
        return np.linalg.norm(corners - np.roll(corners, 1, axis=2), axis=-1)

    assert loss.item() == pytest.approx(np.abs(lengths(predicted) - lengths(target)).mean(), rel=1e-4)


@given(st.integers(0, 10**6))
def test_edge_loss_is_invariant_to_rigid_motion(hand_model, tables, seed):
    g = torch.Generator().manual_seed(seed)
    vertices = hand_model.v_template
    turn = roma.special_gramschmidt(torch.randn(3, 3, generator=g))
    moved = vertices @ turn.T + torch.randn(3, generator=g)
    loss = losses.edge_length_loss(
        tables.edge_vectors(moved), tables.edge_vectors(vertices), tables.faces_of_edge, all_true(2)
    )
    assert loss < 1e-6


def test_masked_mean_ignores_masked_values():
    values = torch.tensor([[[1.0, 2.0], [30.0, 40.0]], [[5.0, 6.0], [7.0, 8.0]]])
    mask = torch.tensor([[True, False], [True, True]])
    assert losses.masked_mean(values, mask) == pytest.approx((1 + 2 + 5 + 6 + 7 + 8) / 6)
    assert losses.masked_mean(values, torch.zeros(2, 2, dtype=torch.bool)) == 0
    values[0, 1] = torch.nan  # labels of an absent hand are undefined
    assert losses.masked_mean(values, mask) == pytest.approx((1 + 2 + 5 + 6 + 7 + 8) / 6)


@pytest.mark.parametrize("function", [losses.vertex_loss, losses.joint_loss, losses.rotation_loss, losses.shape_loss])
def test_absolute_errors_are_averaged(function):
    g = torch.Generator().manual_seed(3)
    a, b = torch.randn(4, 2, 16, 3, generator=g), torch.randn(4, 2, 16, 3, generator=g)
    mask = torch.tensor([[True, False], [True, True], [False, False], [True, True]])
    expected = np.abs(a.numpy() - b.numpy())[mask.numpy()].mean()
    assert function(a, b, mask).item() == pytest.approx(expected, rel=1e-5)


def test_joint_grid_loss_is_in_eighths_of_the_crop():
    joints = torch.zeros(1, 2, 3)
    target = torch.tensor([[[0.25, 0.0, 0.0], [9.0, 9.0, 9.0]]])
    assert losses.joint_grid_loss(joints, target, torch.tensor([[True, False]])) == pytest.approx(1 / 3)


def test_presence_loss_is_binary_cross_entropy():
    logits, presence = torch.tensor([[0.3, -1.2]]), torch.tensor([[True, False]])
    expected = -(math.log(1 / (1 + math.exp(-0.3))) + math.log(1 - 1 / (1 + math.exp(1.2)))) / 2
    assert losses.presence_loss(logits, presence).item() == pytest.approx(expected, rel=1e-5)


def test_uncertainty_loss_is_the_gaussian_likelihood():
    """Against a normal's log-density, up to a constant; the optimal variance is the mean squared error per axis."""
    g = torch.Generator().manual_seed(4)
    joints = (0.01 * torch.randn(2, 21, 3, generator=g)).requires_grad_()
    target = torch.zeros(2, 21, 3)
    log_variance = torch.full((2, 21), math.log(1e-4), requires_grad=True)
    loss = losses.uncertainty_loss(log_variance, joints, target, all_true(2))
    density = torch.distributions.Normal(target, 1e-2).log_prob(joints).mean() + 0.5 * math.log(2 * math.pi)
    assert loss.item() == pytest.approx(-density.item(), rel=1e-4)
    loss.backward()
    assert joints.grad is None

    optimal = joints.detach().square().mean(-1).log().requires_grad_()
    losses.uncertainty_loss(optimal, joints, target, all_true(2)).backward()
    assert optimal.grad.abs().max() < 1e-7


def test_ground_truth_camera_has_zero_projection_loss(hand_model):
    batch = random_batch(hand_model)
    prediction = perfect_prediction(hand_model, batch)
    labels = batch.labels(hand_model)
    loss = losses.projection_loss(
        prediction.camera, prediction.rough_joints, batch.intrinsics, labels.joints_2d, SIZE, all_true(2, 2, 21)
    )
    assert loss < 1e-4
    shifted = prediction.camera + torch.tensor([0.0, 0.1, 0.0])  # shifts the whole hand
    loss = losses.projection_loss(
        shifted, prediction.rough_joints, batch.intrinsics, labels.joints_2d, SIZE, all_true(2, 2, 21)
    )
    assert loss.item() == pytest.approx(0.05, rel=0.15)


def test_perfect_prediction_has_zero_loss(hand_model):
    """Except for the likelihood of the uncertainty."""
    batch = random_batch(hand_model)
    criterion = HandsLoss(hand_model, LossWeights(), DEPTH_BOX)
    _, terms = criterion(perfect_prediction(hand_model, batch), batch, batch.labels(hand_model))
    assert set(terms) == {f.name for f in fields(LossWeights)}
    for name, term in terms.items():
        assert name == "uncertainty" or term.abs() < 1e-4, name


def test_absent_hands_have_only_presence_loss(hand_model):
    batch = random_batch(hand_model).replace(presence=torch.zeros(2, 2, dtype=torch.bool))
    perfect = perfect_prediction(hand_model, batch)
    arbitrary = HandsPrediction(*(x + torch.randn(x.shape) for x in perfect))._replace(
        presence_logits=perfect.presence_logits
    )
    total, terms = HandsLoss(hand_model, LossWeights(), DEPTH_BOX)(arbitrary, batch, batch.labels(hand_model))
    assert total < 1e-4
    assert all(torch.isfinite(t) for t in terms.values())


def test_mesh_terms_weigh_both_meshes_equally(hand_model):
    """The same error in the rough or in the refined mesh has the same loss."""
    batch = random_batch(hand_model)
    perfect = perfect_prediction(hand_model, batch)
    wrong = perfect.vertices + 0.01 * torch.randn(perfect.vertices.shape, generator=torch.Generator().manual_seed(5))
    criterion = HandsLoss(hand_model, LossWeights(), DEPTH_BOX)
    labels = batch.labels(hand_model)
    rough = criterion.mesh_terms(perfect._replace(rough_vertices=wrong), batch, labels)
    refined = criterion.mesh_terms(perfect._replace(vertices=wrong), batch, labels)
    for name in rough:
        assert rough[name].item() == pytest.approx(refined[name].item(), rel=1e-4)
    assert rough["mesh"].item() == pytest.approx((wrong - perfect.vertices).abs().mean().item(), rel=1e-4)


def test_total_is_the_weighted_sum(hand_model):
    batch = random_batch(hand_model)
    perfect = perfect_prediction(hand_model, batch)
    arbitrary = HandsPrediction(*(x + 0.01 * torch.randn(x.shape) for x in perfect))
    for weights in LOSS_PRESETS["lgnet"].values():
        total, terms = HandsLoss(hand_model, weights, DEPTH_BOX)(arbitrary, batch, batch.labels(hand_model))
        expected = sum(getattr(weights, name) * term.item() for name, term in terms.items())
        assert total.item() == pytest.approx(expected, rel=1e-5)


def test_gradients_are_finite_where_the_loss_is_zero(hand_model):
    """|x| and ||x|| are not differentiable at 0; the terms must have finite gradients there."""
    batch = random_batch(hand_model)
    perfect = HandsPrediction(*(x.clone().requires_grad_() for x in perfect_prediction(hand_model, batch)))
    total, _ = HandsLoss(hand_model, LossWeights(), DEPTH_BOX)(perfect, batch, batch.labels(hand_model))
    total.backward()
    for name, value in perfect._asdict().items():
        assert value.grad is None or torch.isfinite(value.grad).all(), name


def test_default_laplacian_gradient_relative_to_the_mesh_term(hand_model):
    """The ratio stated in the docstring of LossWeights, for errors caused by wrong poses."""
    batch = random_batch(hand_model, count=4)
    labels, perfect = batch.labels(hand_model), perfect_prediction(hand_model, batch)
    noise = 0.1 * torch.randn(4, 2, 16, 3, generator=torch.Generator().manual_seed(6))
    rotations = roma.rotvec_to_rotmat(roma.rotmat_to_rotvec(batch.rotations) + noise)
    wrong = hand_model(rotations, batch.shape).wrist_relative().vertices.requires_grad_()
    terms = HandsLoss(hand_model, LossWeights(), DEPTH_BOX).mesh_terms(perfect._replace(vertices=wrong), batch, labels)

    def gradient(name, weights):
        return torch.autograd.grad(getattr(weights, name) * terms[name], wrong, retain_graph=True)[0].norm()

    for preset, low, high in (("default", 0.1, 0.4), ("paper", 0.0, 0.15)):
        weights = loss_weights(preset)
        assert low < gradient("laplacian", weights) / gradient("mesh", weights) < high


def test_unknown_preset_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"default.*paper"):
        loss_weights("papr")
    assert loss_weights("paper").laplacian == 50
