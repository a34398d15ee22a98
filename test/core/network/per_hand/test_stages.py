"""Per-hand stages: equivariance to mirroring and camera rotation, absent hands, initial values, gradients."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from lgnet_core.geometry.camera import project, weak_perspective_root
from lgnet_core.geometry.coordinates import grid_to_depth, pixels_to_grid
from lgnet_core.geometry.crops import crop_projection
from lgnet_core.geometry.hand_crops import HandCrops
from lgnet_core.hand_model import HandModel, read_asset
from lgnet_core.hand_model.asset import BUNDLED_ASSET
from lgnet_core.network import HandLGNetConfig, HandsPrediction
from lgnet_core.network.config import INTERACTIONS
from lgnet_core.network.lgnet.refine_stage import project_full
from lgnet_core.network.per_hand.batching import ABSENT_LOGIT, predict_both
from lgnet_core.network.per_hand.stages import HandStages
from lgnet_core.network.prediction import HAND_CROP_SIZE, HandLandmarks
from lgnet_core.types import Side

CONFIG = HandLGNetConfig(channels=16, self_joint_depth=1, hidden_channels=32, regressor_depth=1, refine_channels=8)
EARLY, MIDDLE, DEEP = 4, 6, 20
MIRROR = torch.diag(torch.tensor([-1.0, 1, 1], dtype=torch.float64))
CAMERA_MATRIX = torch.tensor([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]], dtype=torch.float64)
Inputs = tuple[Tensor, ...]


def make(hand_model: HandModel, config: HandLGNetConfig = CONFIG, zeros: bool = False) -> HandStages:
    """Stages in double precision; parameters initialised close to zero are enlarged unless ``zeros``."""
    torch.manual_seed(0)
    stages = HandStages(config, EARLY, MIDDLE, DEEP, copy.deepcopy(hand_model))
    with torch.no_grad():
        for parameter in stages.parameters():
            if not zeros and parameter.abs().max() < 0.02:
                parameter.normal_(std=0.05 if parameter.any() else 0.2)
    return stages.double().eval()


@pytest.fixture(scope="module", params=[name for name in INTERACTIONS if name != "none"])
def stages(hand_model: HandModel, request: pytest.FixtureRequest) -> HandStages:
    return make(hand_model, replace(CONFIG, interaction=request.param))


def make_inputs(seed: int = 0, batch: int = 2) -> Inputs:
    """Random features, and crops of two hands at random positions in a 640 x 480 image."""
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    maps = (rand(batch, 2, EARLY, 56, 56), rand(batch, 2, MIDDLE, 14, 14), rand(batch, 2, DEEP, 7, 7))
    landmarks = rand(batch, 2, 21, 3) * HAND_CROP_SIZE
    world = (rand(batch, 2, 21, 3) - 0.5) * 0.15
    crops = HandCrops(
        centre=rand(2 * batch, 2) * 200 + torch.tensor([220.0, 140]),
        side=rand(2 * batch) * 100 + 100,
        angle=(rand(2 * batch) - 0.5) * 4,
        mirrored=torch.tensor([False, True]).repeat(batch),
    )
    intrinsics = crop_projection(crops.affine(HAND_CROP_SIZE), CAMERA_MATRIX)
    frames = crops.canonical_frames(CAMERA_MATRIX)
    pairs = (intrinsics.unflatten(0, (batch, 2)), frames.unflatten(0, (batch, 2)))
    return (*maps, landmarks, world, rand(batch, 2) * 4, *pairs, torch.ones(batch, 2, dtype=torch.float64))


def predict(stages: HandStages, inputs: Inputs) -> HandsPrediction:
    *features, intrinsics, frames, present = inputs
    return predict_both(stages, HandLandmarks(*features, side_logits=features[-1]), intrinsics, frames, present)[0]


def run(stages: HandStages, inputs: Inputs) -> HandsPrediction:
    with torch.no_grad():
        return predict(stages, inputs)


def assert_equal(actual: HandsPrediction, expected: HandsPrediction, atol: float = 1e-9) -> None:
    for name, a, b in zip(HandsPrediction._fields, actual, expected):
        assert_close(a, b, atol=atol, rtol=1e-9, msg=lambda text, name=name: f"{name}: {text}")


def mirrored(prediction: HandsPrediction) -> HandsPrediction:
    """Expected prediction for the mirror image: sides swapped, x negated; pixels in the crops are unchanged."""
    swapped = HandsPrediction(*(x.flip(1) if x.shape[1] == 2 else x for x in prediction))
    points = ("vertices", "joints", "rough_vertices", "rough_joints")
    return swapped._replace(
        **{name: getattr(swapped, name) @ MIRROR for name in points},
        rotations=MIRROR @ swapped.rotations @ MIRROR,
        relative_translation=-prediction.relative_translation @ MIRROR,
    )


def mirrored_inputs(inputs: Inputs) -> Inputs:
    """Inputs for the mirror image: the hands swap sides, their crops are unchanged."""
    *features, intrinsics, frames, present = (value.flip(1) for value in inputs)
    return (*features, intrinsics @ MIRROR, frames @ MIRROR, present)


@pytest.mark.parametrize("present", [(1, 1), (1, 0), (0, 1)])
@pytest.mark.parametrize(
    "config",
    [*(replace(CONFIG, interaction=name) for name in INTERACTIONS), replace(CONFIG, refine_stage=False)],
    ids=[*INTERACTIONS, "without refine stage"],
)
def test_mirrored_image_gives_mirrored_hands(hand_model, config, present):
    stages, inputs = make(hand_model, config), make_inputs()
    inputs = (*inputs[:-1], torch.tensor(present, dtype=torch.float64).expand(2, 2))
    assert_equal(run(stages, mirrored_inputs(inputs)), mirrored(run(stages, inputs)))


@given(angle=st.floats(-3.1, 3.1))
def test_rolling_the_camera_rotates_the_hands(stages, angle):
    """Rotation about the optical axis: crops, 2D joints, weak cameras and hand-relative values are unchanged."""
    cos, sin = math.cos(angle), math.sin(angle)
    rotation = torch.tensor([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], dtype=torch.float64)
    *features, intrinsics, frames, present = make_inputs()
    plain = run(stages, (*features, intrinsics, frames, present))
    rotated = run(stages, (*features, intrinsics @ rotation.mT, frames @ rotation.mT, present))
    points = ("vertices", "joints", "rough_vertices", "rough_joints")
    rotations = plain.rotations.clone()
    rotations[:, :, 0] = rotation @ rotations[:, :, 0]
    expected = plain._replace(
        **{name: getattr(plain, name) @ rotation.mT for name in points},
        rotations=rotations,
        relative_translation=plain.relative_translation @ rotation.mT,
    )
    assert_equal(rotated, expected)


def test_rough_hands_rotate_with_the_camera_about_any_axis(stages):
    """With the same crops, predictions in the canonical frame do not depend on the camera axes."""
    *features, intrinsics, frames, present = make_inputs()
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    rotation = rotation * torch.linalg.det(rotation)
    plain = run(stages, (*features, intrinsics, frames, present))
    rotated = run(stages, (*features, intrinsics, frames @ rotation.mT, present))
    assert_close(rotated.rough_vertices, plain.rough_vertices @ rotation.mT)
    assert_close(rotated.rotations[:, :, 0], rotation @ plain.rotations[:, :, 0])
    assert_close(rotated.rotations[:, :, 1:], plain.rotations[:, :, 1:])


@pytest.mark.parametrize("side", Side)
def test_absent_hand_has_no_influence_on_the_other(stages, side):
    """Bit-identical, whatever the inputs of the absent hand."""
    inputs, others = make_inputs(0), make_inputs(1)
    present = torch.ones(2, 2, dtype=torch.float64)
    present[:, side.other] = 0
    mixed = []
    for own, foreign in zip(inputs[:-1], others[:-1]):
        value = own.clone()
        value[:, side.other] = foreign[:, side.other]
        mixed.append(value)
    expected, actual = run(stages, (*inputs[:-1], present)), run(stages, (*mixed, present))
    for name, a, b in zip(HandsPrediction._fields, expected, actual):
        if name != "relative_translation":
            assert torch.equal(a[:, side], b[:, side]), name
    assert torch.equal(expected.presence_logits[:, side], inputs[5][:, side])
    assert (expected.presence_logits[:, side.other] == ABSENT_LOGIT).all()


@pytest.mark.parametrize("side", Side)
def test_present_hands_influence_each_other(stages, side):
    inputs, others = make_inputs(0), make_inputs(1)
    deep = inputs[2].clone()
    deep[:, side.other] = others[2][:, side.other]
    plain, changed = run(stages, inputs), run(stages, (*inputs[:2], deep, *inputs[3:]))
    assert (plain.joints[:, side] - changed.joints[:, side]).abs().max() > 1e-6


def test_items_of_a_batch_are_independent(stages):
    inputs = make_inputs(batch=3)
    whole = run(stages, inputs)
    alone = run(stages, tuple(value[1:2] for value in inputs))
    assert_equal(alone, HandsPrediction(*(value[1:2] for value in whole)))


@pytest.mark.parametrize("side", Side)
def test_single_hand_rows_equal_hands_with_an_absent_other(stages, side):
    """A batch without rows for the absent hands gives the same results."""
    inputs = make_inputs()
    present = torch.zeros(2, 2, dtype=torch.float64)
    present[:, side] = 1
    expected = run(stages, (*inputs[:-1], present))
    early, middle, deep, landmarks, world, _, intrinsics, frames, _ = (value[:, side] for value in inputs)
    with torch.no_grad():
        alone = stages(early, middle, deep, landmarks, world, intrinsics, frames, torch.arange(2.0))._asdict()
    del alone["to_other"]
    for name, value in alone.items():
        assert_close(value, getattr(expected, name)[:, side], msg=lambda text, name=name: f"{name}: {text}")


def test_rotations_and_shape_reproduce_the_rough_mesh_on_both_sides(stages):
    """The rotations are proper (determinant 1) and give the rough vertices with the hand model of the actual side."""
    prediction = run(stages, make_inputs())
    assert_close(torch.linalg.det(prediction.rotations), torch.ones(2, 2, 16, dtype=torch.float64))
    mesh = stages.hand_model(prediction.rotations, prediction.shape).wrist_relative()
    assert_close(mesh.vertices, prediction.rough_vertices, atol=1e-7, rtol=0)
    assert_close(mesh.joints, prediction.rough_joints, atol=1e-7, rtol=0)


def test_refined_joints_are_regressed_from_the_mesh_with_the_wrist_at_the_origin(stages):
    prediction = run(stages, make_inputs())
    offsets = prediction.vertices - prediction.rough_vertices
    assert offsets.abs().max() > 1e-5
    joints = stages.hand_model.joints_from_vertices(offsets)
    assert_close(prediction.joints - prediction.rough_joints, joints, atol=1e-9, rtol=0)
    assert_close(prediction.joints[..., 0, :], torch.zeros(2, 2, 3, dtype=torch.float64), atol=1e-7, rtol=0)


def test_untrained_stages_return_the_landmarks_and_the_rough_mesh(hand_model):
    """2D joints are the landmarks, M_f is M_r, and the wrists are placed independently from their crops."""
    stages, inputs = make(hand_model, zeros=True), make_inputs()
    prediction = run(stages, inputs)
    cells = pixels_to_grid(inputs[3][..., :2], HAND_CROP_SIZE, HAND_CROP_SIZE // 32)
    assert_close(prediction.joints_grid[..., :2], cells)
    depths = grid_to_depth(prediction.joints_grid[..., 2], CONFIG.depth_box, 8)
    assert_close(depths, prediction.joints[..., 2])
    assert torch.equal(prediction.vertices, prediction.rough_vertices)
    assert torch.equal(prediction.joints, prediction.rough_joints)
    assert_close(prediction.joint_log_variance.exp().sqrt(), torch.full((2, 2, 21), 0.03).double(), rtol=0.1, atol=0)
    intrinsics = inputs[6]
    wrists = []
    for side in Side:
        scale, centre = prediction.camera[:, side, 0], prediction.camera[:, side, 1:]
        focal = torch.linalg.det(intrinsics[:, side, :2, :2]).abs().sqrt()
        pixels = ((centre + 1) * HAND_CROP_SIZE - 1) / 2
        rays = torch.linalg.solve(intrinsics[:, side, :2, :2], pixels - intrinsics[:, side, :2, 2])
        depth = focal / (scale * HAND_CROP_SIZE / 2)
        wrists.append(torch.cat([rays, torch.ones_like(rays[:, :1])], -1) * depth[:, None])
    assert_close(prediction.relative_translation, wrists[Side.LEFT] - wrists[Side.RIGHT])


def test_weak_camera_maps_the_world_landmarks_to_the_landmarks(hand_model):
    """For landmarks that are scaled and translated world landmarks, it is this scale and the wrist's position."""
    stages = make(hand_model, zeros=True)
    torch.nn.init.zeros_(stages.parameters_head.out.weight)
    inputs = list(make_inputs())
    inputs[4] = inputs[4] - inputs[4].mean(2, keepdim=True)
    scale, translation = 8.0, torch.tensor([0.1, -0.2], dtype=torch.float64)
    points = scale * inputs[4][..., :2] + translation
    inputs[3] = torch.cat([((points + 1) * HAND_CROP_SIZE - 1) / 2, inputs[3][..., 2:]], -1)
    camera = run(stages, tuple(inputs)).camera
    assert_close(camera[..., 0], torch.full((2, 2), scale).double(), rtol=1e-4, atol=0)
    assert_close(camera[..., 1:], points[..., 0, :])


def test_early_features_are_sampled_at_the_perspective_projection(stages, monkeypatch):
    from lgnet_core.network.per_hand import stages as hand_stages

    sampled_at: list[Tensor] = []
    sample = hand_stages.sample_map
    monkeypatch.setattr(
        hand_stages, "sample_map", lambda maps, points: sampled_at.append(points) or sample(maps, points)
    )
    inputs = make_inputs()
    prediction = run(stages, inputs)
    expected = project_full(prediction.rough_vertices, prediction.camera, inputs[6], HAND_CROP_SIZE)
    assert_close(sampled_at[0].unflatten(0, (2, 2)), expected, atol=1e-6, rtol=1e-6)


def test_placed_wrist_projects_to_the_weak_cameras_translation(stages):
    """In pixels of each hand's own crop."""
    inputs = make_inputs()
    prediction = run(stages, inputs)
    roots = weak_perspective_root(prediction.camera, inputs[6], HAND_CROP_SIZE)
    pixels = project(roots[..., None, :], inputs[6])[..., 0, :]
    assert_close(pixels, ((prediction.camera[..., 1:] + 1) * HAND_CROP_SIZE - 1) / 2)


@pytest.mark.parametrize("interaction", INTERACTIONS)
def test_every_parameter_has_a_gradient(hand_model, interaction):
    stages = make(hand_model, replace(CONFIG, interaction=interaction)).train()
    prediction = predict(stages, make_inputs())
    sum((value - value.detach().mean()).square().sum() for value in prediction).backward()
    assert [name for name, p in stages.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_mesh_losses_do_not_train_the_2d_joints(hand_model):
    """The sampling positions are detached."""
    stages = make(hand_model)
    predict(stages, make_inputs()).vertices.square().sum().backward()
    assert stages.correction.weight.grad is None or not stages.correction.weight.grad.any()


def test_hand_model_with_an_asymmetric_left_hand_raises():
    asset = read_asset(BUNDLED_ASSET)
    left = asset.mirrored()
    other = HandModel(asset, replace(left, v_template=left.v_template * 1.05))
    with pytest.raises(ValueError, match="its left hand is not the mirror image"):
        HandStages(CONFIG, EARLY, MIDDLE, DEEP, other)
