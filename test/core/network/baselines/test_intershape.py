"""InterShape: camera fit, gates, cascade steps and the exchange between the hands."""

import copy

import numpy as np
import pytest
import roma
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.small_network import crops
from torch.testing import assert_close

from lgnet_core.network import build_network
from lgnet_core.network.baselines.internet import Peaks
from lgnet_core.network.baselines.intershape import (
    MIN_SCALE,
    CascadeStep,
    fit_camera,
    hand_attention,
    joint_gates,
    rotation_from_axis_angle,
)
from lgnet_core.network.config import InterShapeConfig
from lgnet_core.network.lgnet.refine_stage import project_weak

SMALL = InterShapeConfig("efficientnet_lite0", decoder_channels=8, heatmap_depth=8, hidden=16)
GRID = torch.empty(1, 2, 21, 8, 64, 64)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def network(hand_model):
    network = build_network(SMALL, hand_model).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.abs().max() < 0.02:
                parameter.normal_(std=0.05)
    return network


@given(st.integers(0, 10**6), st.sampled_from([0.0, 1e-8, 1e-4, 1e-2, 1.0, 3.14159, 9.0]))
def test_rodrigues_agrees_with_roma(seed, length):
    vectors = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * length
    assert_close(rotation_from_axis_angle(vectors), roma.rotvec_to_rotmat(vectors), atol=1e-7, rtol=0)


def test_rodrigues_has_a_finite_gradient_at_zero():
    vectors = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(rotation_from_axis_angle(vectors)[0, 1, 0], vectors)
    assert_close(gradient, torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64))  # R_10 = +z to first order


def random_joints(seed, count=3):
    g = torch.Generator().manual_seed(seed)
    return 0.05 * torch.randn(count, 2, 21, 3, generator=g), torch.rand(count, 2, 21, generator=g) + 1e-3


def as_voxels(normalised):
    return torch.cat([(normalised + 1) * 32 - 0.5, torch.zeros_like(normalised[..., :1])], -1)


@given(st.integers(0, 10**6))
def test_camera_fit_is_the_weighted_least_squares_solution(seed):
    """Compared with numpy's solver."""
    joints, confidence = random_joints(seed)
    camera = torch.tensor([6.0, 0.1, -0.2]).expand(3, 2, 3)
    points = project_weak(joints, camera) + 0.05 * torch.randn(
        3, 2, 21, 2, generator=torch.Generator().manual_seed(seed)
    )
    fitted = fit_camera(joints, Peaks(as_voxels(points), confidence), GRID)
    for index in np.ndindex(3, 2):
        x, p, weight = (
            joints[index][:, :2].double().numpy(),
            points[index].double().numpy(),
            confidence[index].sqrt().numpy(),
        )
        rows = [np.column_stack([x[:, a], np.eye(2)[[a] * 21]]) * weight[:, None] for a in range(2)]
        targets = [p[:, a] * weight for a in range(2)]
        expected = np.linalg.lstsq(np.vstack(rows), np.concatenate(targets), rcond=None)[0]
        np.testing.assert_allclose(fitted[index].numpy(), expected, atol=2e-3)


def test_camera_fit_to_exact_peaks_is_exact_and_has_no_gradient():
    joints, confidence = random_joints(0)
    camera = torch.tensor([5.0, 0.3, -0.1]).expand(3, 2, 3)
    peaks = Peaks(as_voxels(project_weak(joints, camera)), confidence.requires_grad_())
    fitted = fit_camera(joints.requires_grad_(), peaks, GRID)
    assert_close(fitted, camera, atol=1e-4, rtol=0)
    assert not fitted.requires_grad


def test_peak_of_low_confidence_has_little_influence():
    joints, confidence = random_joints(1)
    camera = torch.tensor([5.0, 0.0, 0.0]).expand(3, 2, 3)
    points = project_weak(joints, camera)
    points[:, :, 7] += 0.8
    high = torch.ones_like(confidence)
    low = high.clone()
    low[:, :, 7] = 1e-3
    errors = [(fit_camera(joints, Peaks(as_voxels(points), c), GRID) - camera).abs().max() for c in (high, low)]
    assert errors[1] < 0.02 < errors[0]


def test_fitted_scale_has_a_lower_bound():
    joints, confidence = random_joints(2)
    mirrored = project_weak(joints, torch.tensor([-5.0, 0.0, 0.0]).expand(3, 2, 3))
    assert (fit_camera(joints, Peaks(as_voxels(mirrored), confidence), GRID)[..., 0] == MIN_SCALE).all()


def test_gates_are_the_union_of_gaussians():
    points = torch.full((1, 2, 21, 2), -50.0)  # far outside
    points[0, 0, 0] = torch.tensor([0.25, -0.25])  # cell (4.5, 2.5) of 8
    points[0, 0, 1] = torch.tensor([0.25, 0.0])
    gates = joint_gates(points, 8)
    v, u = np.mgrid[:8, :8]
    heat = [np.exp(-((u - 4.5) ** 2 + (v - row) ** 2) / 3) for row in (2.5, 3.5)]
    np.testing.assert_allclose(gates[0, 0].numpy(), 1 - (1 - heat[0]) * (1 - heat[1]), atol=1e-6)
    assert gates[0, 1].abs().max() < 1e-6


def test_hand_attention_is_the_maximum_of_its_heatmaps():
    volumes = torch.full((1, 2, 21, 8, 16, 16), -1.0)
    volumes[0, 0, 3, 5, 0:8, 8:16] = 0.5
    attention = hand_attention(volumes, 2)
    assert_close(attention[0], torch.tensor([[[0.0, 0.5], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]))


def test_swapping_the_hands_swaps_the_outputs():
    """A step with swapped weights and swapped inputs gives swapped outputs."""
    step = CascadeStep(16, 2, 32, 24).eval()
    swapped = copy.deepcopy(step)
    for part in ("bottleneck", "regressor"):
        original, other = getattr(step, part), getattr(swapped, part)
        other[0].load_state_dict(original[1].state_dict())
        other[1].load_state_dict(original[0].state_dict())
    features, gate = torch.randn(2, 16, 8, 8), torch.rand(2, 2, 8, 8)
    pose, shape, translation = torch.randn(2, 2, 48), torch.randn(2, 2, 10), torch.randn(2, 4)
    for a, b in zip(
        step(features, gate, pose, shape, translation),
        swapped(features, gate.flip(1), pose.flip(1), shape.flip(1), translation),
    ):
        assert_close(b, a.flip(1))


def test_step_takes_both_hands_estimates():
    """2168 inputs per hand: 58 of the other hand, 58 of its own, 2048 features, 4 of the translation."""
    step = CascadeStep(64, 1, 2048, 512)
    assert step.regressor[0].hidden[0].in_features == 2168
    assert not any("bn" in name for name, _ in step.named_parameters())
    features, gate, translation = torch.randn(1, 64, 8, 8), torch.rand(1, 2, 8, 8), torch.randn(1, 4)
    pose, shape = torch.randn(1, 2, 48), torch.randn(1, 2, 10)
    changed = pose + torch.tensor([1.0, 0.0])[:, None]  # of the right hand only
    before, after = (step(features, gate, p, shape, translation)[0] for p in (pose, changed))
    assert not torch.equal(before[:, 1], after[:, 1])


def test_closed_gate_blocks_all_features():
    step = CascadeStep(16, 1, 32, 24).eval()
    features, translation = torch.randn(2, 2, 16, 8, 8), torch.randn(1, 4)
    outputs = [
        step(x[:1], torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 48), torch.zeros(1, 2, 10), translation)[0]
        for x in features
    ]
    assert torch.equal(*outputs)


def test_only_heatmap_losses_train_the_heatmap_network(network):
    prediction, intermediates = network.forward_intermediates(*crops(2, 64))
    other_outputs = [
        *intermediates._replace(heatmaps=torch.zeros(1)),
        prediction.vertices,
        prediction.camera,
        prediction.relative_translation,
    ]
    sum(x.square().sum() for x in other_outputs).backward()
    assert all(p.grad is None for p in network.heatmap_net.parameters())
    assert network.feature_net.backbone.stem.weight.grad.abs().sum() > 0


def test_all_four_estimates_are_returned_and_the_last_is_the_prediction(network, hand_model):
    prediction, intermediates = network.forward_intermediates(*crops(2, 64))
    assert intermediates.joints.shape == (2, 4, 2, 21, 3)
    assert_close(intermediates.joints[:, -1], prediction.joints)
    assert_close(intermediates.shape[:, -1], prediction.shape)
    assert_close(hand_model.pose_to_rotations(intermediates.pose[:, -1]), prediction.rotations, atol=1e-5, rtol=0)
    steps = (intermediates.joints[:, 1:] - intermediates.joints[:, :-1]).abs().amax((0, 2, 3, 4))
    assert (steps > 1e-5).all()


def test_translation_is_in_palm_lengths(network, hand_model):
    prediction, intermediates = network.forward_intermediates(*crops(2, 64))
    right_palm = hand_model.palm_length(prediction.shape)[:, 0]
    expected = intermediates.translation[:, 1:] * intermediates.translation[:, :1].exp() * right_palm[:, None]
    assert_close(prediction.relative_translation, expected)


def test_sizes_are_those_of_the_paper(hand_model):
    """672 heatmap channels in addition to 512 of layer2; volumes of 64 voxels; features of 2048 from three maps."""
    network = build_network("intershape", hand_model)
    assert network.feature_net.backbone.layer3[0].conv1.in_channels == 512 + 672
    assert network.feature_net.backbone.layer3[0].downsample[0].in_channels == 512 + 672
    assert network.heatmap_net.decoder[0].volume.out_channels == 21 * 64
    assert [step.bottleneck[0].conv1.in_channels for step in network.steps] == [2048, 1024, 512]
    assert [step.bottleneck[0].conv2.stride[0] for step in network.steps] == [1, 2, 4]
    assert network.first[0].hidden[0].in_features == 2048
