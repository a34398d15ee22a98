"""Refine stage: projection, sampling, reordered first layer, smoothing and zero initialisation."""

import pytest
import torch
from torch.testing import assert_close

from lgnet_core.geometry.camera import project, weak_perspective_root
from lgnet_core.geometry.coordinates import pixels_to_normalised
from lgnet_core.network.layers import sample_map
from lgnet_core.network.lgnet.refine_stage import (
    HAND_EXTENT,
    OFFSET_SCALE,
    RefineStage,
    project_full,
    project_weak,
)

C, ENHANCED, EARLY, S = 16, 20, 8, 64


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def inputs():
    focal = 2.5 * S
    intrinsics = torch.tensor([[focal, 0.0, S / 2], [0.0, focal, S / 2], [0.0, 0.0, 1.0]])
    return {
        "vertices": torch.randn(2, 2, 778, 3) * 0.05,
        "camera": torch.tensor([6.7, 0.1, -0.2]).expand(2, 2, 3),
        "intrinsics": intrinsics.expand(2, 3, 3),
        "image": torch.rand(2, 3, S, S),
        "early": torch.randn(2, EARLY, S // 4, S // 4),
        "features": torch.randn(2, 2, C, 8, 8),
        "enhanced": torch.randn(2, 2, ENHANCED, 8, 8),
    }


def make(hand_model, projection="full", randomise_tail=True, smoothing=0.0):
    stage = RefineStage(EARLY, C, ENHANCED, 12, projection, smoothing, hand_model)
    if randomise_tail:
        for graph in stage.graph:
            torch.nn.init.normal_(graph.tail.last.weight)
    return stage.eval()


def test_initial_offsets_are_zero(hand_model, inputs):
    offsets = make(hand_model, randomise_tail=False)(**inputs)
    assert offsets.shape == (2, 2, 778, 3)
    assert not offsets.any()


def test_input_width_of_the_first_layer(hand_model):
    """3 + 3 + 256 + 512 + 640 = 1414 for ResNet-50 and c = 512; 462 for mini."""
    stage = RefineStage(256, 512, 640, 128, "full", 0.0, hand_model)
    assert stage.graph[0].head.first.in_features == 1414
    assert RefineStage(24, 192, 240, 64, "full", 0.0, hand_model).graph[0].head.first.in_features == 462


def test_reordered_first_layer_equals_sampling_all_maps_at_the_vertices(hand_model, inputs):
    stage = make(hand_model).double()
    inputs = {name: value.double() for name, value in inputs.items()}
    points = stage.project(inputs["vertices"], inputs["camera"], inputs["intrinsics"], S)
    for side, graph in enumerate(stage.graph):
        shared = [sample_map(inputs[name], points[:, side]) for name in ("image", "early")]
        own = [sample_map(inputs[name][:, side], points[:, side]) for name in ("features", "enhanced")]
        x = torch.cat([inputs["vertices"][:, side] / HAND_EXTENT, *shared, *own], -1)
        x = x.transpose(0, 1).flatten(0, 1)
        x = graph.head_norm(graph.head(x, stage.neighbour_sum))
        x = graph.tail(graph.residuals(x, stage.neighbour_sum), stage.neighbour_sum)
        assert_close(stage(**inputs)[:, side], x.view(778, 2, 3).transpose(0, 1) * OFFSET_SCALE)


@pytest.mark.parametrize("strength", [0.3, 3.0, 30.0])
def test_smoothed_offsets_solve_the_implicit_diffusion_step(hand_model, inputs, strength):
    """x + strength * (sum over neighbours of x - x_neighbour) = offsets of the graph network."""
    raw, smooth = (make(hand_model, smoothing=s).double() for s in (0.0, strength))
    smooth.load_state_dict(raw.state_dict())
    inputs = {name: value.double() for name, value in inputs.items()}
    with torch.no_grad():
        x, unsmoothed = smooth(**inputs), raw(**inputs)
    flow = torch.zeros_like(x)
    for a, b in hand_model.graph.edges.tolist():
        difference = x[:, :, a] - x[:, :, b]
        flow[:, :, a] += difference
        flow[:, :, b] -= difference
    assert_close(x + strength * flow, unsmoothed, atol=1e-4 * float(unsmoothed.abs().max()), rtol=0)


def test_full_projection_is_the_perspective_camera(inputs):
    points = project_full(inputs["vertices"], inputs["camera"], inputs["intrinsics"][:, None], S)
    root = weak_perspective_root(inputs["camera"], inputs["intrinsics"][:, None], S)
    pixels = project(inputs["vertices"] + root[:, :, None], inputs["intrinsics"][:, None])
    assert_close(points, pixels_to_normalised(pixels, S))
    wrist = project_full(torch.zeros(2, 2, 1, 3), inputs["camera"], inputs["intrinsics"][:, None], S)
    assert_close(wrist[:, :, 0], inputs["camera"][..., 1:], atol=1e-5, rtol=1e-5)


def test_full_projection_with_a_distant_camera_equals_weak_projection(inputs):
    intrinsics = inputs["intrinsics"] * torch.tensor([[1000.0], [1000.0], [1.0]])
    intrinsics[:, :2, 2] = (S - 1) / 2
    camera = inputs["camera"] * torch.tensor([1.0, 0.0, 0.0])
    full = project_full(inputs["vertices"], camera, intrinsics[:, None], S)
    assert_close(full, project_weak(inputs["vertices"], camera), atol=1e-2, rtol=0)


def test_weak_projection_of_a_near_fingertip_is_inaccurate():
    """A hand of half a crop, 0.2 m from the camera, a finger reaching 8 cm towards it."""
    focal = 300.0
    intrinsics = torch.tensor([[focal, 0.0, 127.5], [0.0, focal, 127.5], [0.0, 0.0, 1.0]])
    camera = torch.tensor([focal / 0.2 / 128, 0.0, 0.0])  # weak-perspective scale at 0.2 m
    tip = torch.tensor([[0.02, 0.0, -0.08]])
    weak, full = project_weak(tip, camera), project_full(tip, camera, intrinsics, 256)
    assert_close(full[0, 0], torch.tensor(focal * 0.02 / 0.12 / 128), atol=1e-5, rtol=0)
    assert (full - weak)[0, 0] * 128 > 18  # crop pixels


@pytest.mark.parametrize("projection", ["full", "weak"])
def test_sampling_positions_are_detached(hand_model, inputs, projection):
    camera = inputs["camera"].clone().requires_grad_()
    features = inputs["features"].requires_grad_()
    offsets = make(hand_model, projection)(**(inputs | {"camera": camera}))
    to_camera, to_features = torch.autograd.grad(offsets.sum(), (camera, features), allow_unused=True)
    assert to_camera is None
    assert to_features.abs().max() > 0


def test_vertices_outside_the_crop_or_behind_the_camera_give_finite_offsets(hand_model, inputs):
    inputs["vertices"] = inputs["vertices"] * 100
    inputs["camera"] = torch.zeros(2, 2, 3)
    assert make(hand_model)(**inputs).isfinite().all()
