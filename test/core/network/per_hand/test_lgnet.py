"""LGNet with one crop per hand: parts, size, export, mirrored images and absent hands."""

from __future__ import annotations

import onnxruntime
import pytest
import torch
from support.parameters import parameter_count
from support.small_network import small_network
from torch import Tensor
from torch.testing import assert_close

from lgnet_core.engines.export import export_onnx
from lgnet_core.geometry.coordinates import pixels_to_grid
from lgnet_core.geometry.crops import crop_projection
from lgnet_core.geometry.hand_crops import HandCrops
from lgnet_core.network import HandLGNet, HandLGNetConfig, HandsPrediction, build_network
from lgnet_core.network.detector.hand_landmark import load_hand_landmark_net
from lgnet_core.network.per_hand.batching import predict_both
from lgnet_core.network.per_hand.stages import HandStages
from lgnet_core.network.prediction import HAND_CROP_SIZE, HandLandmarks, StackedHands
from lgnet_core.types import Side

SMALL = HandLGNetConfig(channels=16, self_joint_depth=1, hidden_channels=32, regressor_depth=1, refine_channels=8)
MIRROR = torch.diag(torch.tensor([-1.0, 1, 1]))


@pytest.fixture(scope="module")
def network(hand_model) -> HandLGNet:
    """Random stages on MediaPipe's landmark network."""
    network = small_network(hand_model, config=SMALL)
    network.landmarker.load_state_dict(load_hand_landmark_net().state_dict())
    return network.eval()


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory) -> onnxruntime.InferenceSession:
    """The exported stages in ONNX Runtime."""
    path = tmp_path_factory.mktemp("exported") / "stages.onnx"
    export_onnx(network.stages, path)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def inputs(network) -> tuple[Tensor, ...]:
    """Three images of smooth noise."""
    _, *geometry = network.example_inputs()
    generator = torch.Generator().manual_seed(0)
    small = torch.rand(6, 3, 14, 14, generator=generator)
    images = torch.nn.functional.interpolate(small, HAND_CROP_SIZE, mode="bicubic", align_corners=False).clamp(0, 1)
    geometry = [value[:1].expand(3, *value.shape[1:]) for value in geometry]
    return (images.unflatten(0, (3, 2)), *geometry)


def test_parameter_count_is_at_most_12_million(hand_model):
    network = build_network("lgnet-hand", hand_model)
    assert isinstance(network, HandLGNet)
    assert parameter_count(network) <= 12_000_000


@torch.no_grad()
def test_network_equals_its_engine_parts_in_sequence(network, inputs):
    images, *geometry = inputs
    parts = network.engine_parts()
    features = HandLandmarks(*(x.unflatten(0, (3, 2)) for x in parts["landmarks"](images.flatten(0, 1))))
    for actual, expected in zip(network(*inputs), predict_both(parts["stages"], features, *geometry)[0]):
        assert_close(actual, expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_mirrored_image_gives_mirrored_hands(network, inputs):
    """The crops of the two hands are swapped but unchanged, since each of them shows a right hand."""
    images, intrinsics, frames, present = inputs
    plain = network(*inputs)
    mirrored = network(images.flip(1), (intrinsics @ MIRROR).flip(1), (frames @ MIRROR).flip(1), present.flip(1))
    assert_close(mirrored.vertices, plain.vertices.flip(1) @ MIRROR, atol=1e-5, rtol=1e-4)
    assert_close(mirrored.joints_grid, plain.joints_grid.flip(1), atol=1e-4, rtol=1e-4)
    assert_close(mirrored.rotations, MIRROR @ plain.rotations.flip(1) @ MIRROR, atol=1e-4, rtol=0)
    assert_close(mirrored.relative_translation, -plain.relative_translation @ MIRROR, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("side", Side)
@torch.no_grad()
def test_crop_of_an_absent_hand_is_ignored(network, inputs, side):
    images, intrinsics, frames, _ = inputs
    present = torch.ones(3, 2)
    present[1, side.other] = 0
    images = images.clone()
    expected = network(images, intrinsics, frames, present)
    images[1, side.other] = torch.nan
    with_nan = network(images, intrinsics, frames, present)
    for name, a, b in zip(HandsPrediction._fields, expected, with_nan):
        assert torch.equal(a, b), name
        assert torch.isfinite(a).all(), name


@torch.no_grad()
def test_absent_hands_get_the_features_of_the_other_hand(network, inputs):
    images = inputs[0]
    present = torch.tensor([[1.0, 0], [0, 1], [1, 1]])
    encoded, complete = network.encode(images, present), network.encode(images, torch.ones(3, 2))
    for actual, reference in zip(encoded, complete):
        for item, (right, left) in enumerate(((0, 0), (1, 1), (0, 1))):
            assert_close(actual[item, 0], reference[item, right], atol=1e-4, rtol=1e-4)
            assert_close(actual[item, 1], reference[item, left], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_encoding_from_maps_equals_encoding_from_images(network, inputs):
    present = torch.tensor([[1.0, 0], [0, 1], [1, 1]])
    encoded = network.encode(inputs[0], present)
    for name, actual, expected in zip(
        encoded._fields, network.encode_maps(encoded.early, encoded.middle, present), encoded
    ):
        assert_close(actual, expected, atol=1e-4, rtol=1e-4, msg=name)


@pytest.mark.parametrize("present", [[[1.0, 1], [0, 0], [1, 1]], [[0.0, 0], [0, 0], [0, 0]]], ids=["one", "all"])
@torch.no_grad()
def test_images_without_hands_give_finite_outputs(network, inputs, present):
    for name, value in network(*inputs[:3], torch.tensor(present))._asdict().items():
        assert torch.isfinite(value).all(), name


@torch.no_grad()
def test_untrained_network_returns_the_landmarks(hand_model, inputs):
    torch.manual_seed(0)
    network = build_network(SMALL, hand_model).eval()
    landmarks = network.landmarker(inputs[0].flatten(0, 1)).landmarks[..., :2].unflatten(0, (3, 2))
    prediction = network(*inputs)
    assert_close(prediction.joints_grid[..., :2], pixels_to_grid(landmarks, HAND_CROP_SIZE, 7), atol=1e-4, rtol=1e-4)
    assert torch.equal(prediction.vertices, prediction.rough_vertices)


@pytest.mark.parametrize("other", [[0], [1, 0], [0, 1, 2], [1, 0, 2, 4, 3], [1, 0, 3, 2, 5, 4]], ids=str)
def test_onnx_export_of_the_stages_agrees(exported, network, other):
    """With one and two hands per image, in one and several images, in any order."""
    maps = [value.repeat(3, *[1] * (value.ndim - 1))[: len(other)] for value in network.stages.example_inputs()[:5]]
    generator = torch.Generator().manual_seed(0)
    maps = [value + 0.1 * torch.rand(value.shape, generator=generator) for value in maps]
    crops = HandCrops(
        centre=torch.rand(len(other), 2, generator=generator) * 300 + 100,
        side=torch.rand(len(other), generator=generator) * 100 + 100,
        angle=torch.rand(len(other), generator=generator) * 4 - 2,
        mirrored=torch.arange(len(other)) % 2 == 1,
    )
    camera = torch.tensor([[500.0, 0, 320], [0, 480, 240], [0, 0, 1]])
    intrinsics, frames = crop_projection(crops.affine(HAND_CROP_SIZE), camera), crops.canonical_frames(camera)
    stage_inputs = (*maps, intrinsics, frames, torch.tensor(other).float())
    with torch.no_grad():
        expected = network.stages(*stage_inputs)
    feed = {name: value.numpy() for name, value in zip(HandStages.INPUTS, stage_inputs, strict=True)}
    for name, actual, reference in zip(StackedHands._fields, exported.run(None, feed), expected, strict=True):
        assert_close(torch.from_numpy(actual), reference, atol=2e-5, rtol=1e-4, msg=lambda m, name=name: f"{name}: {m}")


@torch.no_grad()
def test_attention_maps(network, inputs):
    """One map for each hand of each image; absent hands have no attention."""
    present = torch.tensor([[1.0, 1], [1, 0], [1, 1]])
    maps = dict(network.attention_maps(*inputs[:3], present))
    assert len(maps) == 6
    assert all(weights.shape == (6, 7, 7) for weights in maps.values())
    for name in ("local", "global"):
        total = maps[f"{name}: other hand's map"].sum((1, 2))
        assert (total[[0, 1, 3, 4, 5]] > 0).all()
        assert total[2] < 1e-20  # the right hand of the second image is alone


def test_backbone_is_the_encoder(network):
    assert network.backbones() == (network.landmarker.encoder,)
