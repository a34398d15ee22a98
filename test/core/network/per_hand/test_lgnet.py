"""The whole network of one crop per hand: its parts, its size, its exports, and mirrored images."""

from __future__ import annotations

import onnxruntime
import pytest
import torch
from support.small_network import small_network
from torch import Tensor
from torch.testing import assert_close

from lgnet_core.engines.export import export_onnx
from lgnet_core.geometry.camera import pixels_to_grid
from lgnet_core.geometry.hand_crops import HandCrops, crop_projection
from lgnet_core.network import HandLGNet, HandLGNetConfig, HandsPrediction, build_network
from lgnet_core.network.detector.hand_landmark import HAND_CROP_SIZE, load_hand_landmark_net
from lgnet_core.network.per_hand.batching import HandFeatures, predict_both
from lgnet_core.network.per_hand.stages import HandStages
from lgnet_core.network.prediction import StackedHands
from lgnet_core.types import Side

SMALL = HandLGNetConfig(channels=16, self_joint_depth=1, hidden_channels=32, regressor_depth=1, refine_channels=8)
MIRROR = torch.diag(torch.tensor([-1.0, 1, 1]))


@pytest.fixture(scope="module")
def network(hand_model) -> HandLGNet:
    """Random stages over MediaPipe's encoder."""
    network = small_network(hand_model, config=SMALL)
    network.landmarker.load_state_dict(load_hand_landmark_net().state_dict())
    return network.eval()


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory) -> onnxruntime.InferenceSession:
    """Its stages in ONNX Runtime."""
    path = tmp_path_factory.mktemp("exported") / "stages.onnx"
    export_onnx(network.stages, path)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def inputs(network) -> tuple[Tensor, ...]:
    """Smooth noise, three images."""
    _, *geometry = network.example_inputs()
    random = torch.Generator().manual_seed(0)
    small = torch.rand(6, 3, 14, 14, generator=random)
    images = torch.nn.functional.interpolate(small, HAND_CROP_SIZE, mode="bicubic", align_corners=False).clamp(0, 1)
    geometry = [value[:1].expand(3, *value.shape[1:]) for value in geometry]
    return (images.unflatten(0, (3, 2)), *geometry)


def test_it_has_at_most_12_million_parameters(hand_model):
    network = build_network("lgnet-hand", hand_model)
    assert isinstance(network, HandLGNet)
    assert sum(p.numel() for p in network.parameters()) <= 12_000_000


@torch.no_grad()
def test_it_is_its_parts_one_after_the_other(network, inputs):
    images, *geometry = inputs
    parts = network.engine_parts()
    seen = parts["landmarks"](images.flatten(0, 1))
    features = HandFeatures(*(getattr(seen, name).unflatten(0, (3, 2)) for name in HandFeatures._fields))
    for mine, theirs in zip(network(*inputs), predict_both(parts["stages"], features, *geometry)):
        assert_close(mine, theirs, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_the_mirror_image_of_an_image_has_the_mirror_image_of_its_hands(network, inputs):
    """The crops of both hands change places as they are: each shows a right hand."""
    images, intrinsics, frames, present = inputs
    plain = network(*inputs)
    other = network(images.flip(1), (intrinsics @ MIRROR).flip(1), (frames @ MIRROR).flip(1), present.flip(1))
    assert_close(other.vertices, plain.vertices.flip(1) @ MIRROR, atol=1e-5, rtol=1e-4)
    assert_close(other.joints_grid, plain.joints_grid.flip(1), atol=1e-4, rtol=1e-4)
    assert_close(other.rotations, MIRROR @ plain.rotations.flip(1) @ MIRROR, atol=1e-4, rtol=0)
    assert_close(other.relative_translation, -plain.relative_translation @ MIRROR, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("side", Side)
@torch.no_grad()
def test_a_crop_that_is_not_given_is_not_read(network, inputs, side):
    images, intrinsics, frames, _ = inputs
    present = torch.ones(3, 2)
    present[1, side.other] = 0
    images = images.clone()
    alone = network(images, intrinsics, frames, present)
    images[1, side.other] = torch.nan
    nothing_there = network(images, intrinsics, frames, present)
    for name, a, b in zip(HandsPrediction._fields, alone, nothing_there):
        assert torch.equal(a, b), name
        assert torch.isfinite(a).all(), name


@torch.no_grad()
def test_hands_that_are_not_given_repeat_the_others_features(network, inputs):
    images = inputs[0]
    present = torch.tensor([[1.0, 0], [0, 1], [1, 1]])
    encoded, whole = network.encode(images, present), network.encode(images, torch.ones(3, 2))
    for mine, theirs in zip(encoded, whole):
        for item, (right, left) in enumerate(((0, 0), (1, 1), (0, 1))):
            assert_close(mine[item, 0], theirs[item, right], atol=1e-4, rtol=1e-4)
            assert_close(mine[item, 1], theirs[item, left], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_what_follows_from_its_maps_is_what_it_sees_in_the_images(network, inputs):
    present = torch.tensor([[1.0, 0], [0, 1], [1, 1]])
    encoded = network.encode(inputs[0], present)
    for name, mine, theirs in zip(
        encoded._fields, network.encode_maps(encoded.early, encoded.middle, present), encoded
    ):
        assert_close(mine, theirs, atol=1e-4, rtol=1e-4, msg=name)


@pytest.mark.parametrize("present", [[[1.0, 1], [0, 0], [1, 1]], [[0.0, 0], [0, 0], [0, 0]]], ids=["one", "all"])
@torch.no_grad()
def test_images_without_hands_are_finite(network, inputs, present):
    for name, value in network(*inputs[:3], torch.tensor(present))._asdict().items():
        assert torch.isfinite(value).all(), name


@torch.no_grad()
def test_untrained_it_returns_the_landmarks(hand_model, inputs):
    torch.manual_seed(0)
    network = build_network(SMALL, hand_model).eval()
    landmarks = network.landmarker(inputs[0].flatten(0, 1)).landmarks[..., :2].unflatten(0, (3, 2))
    found = network(*inputs)
    assert_close(found.joints_grid[..., :2], pixels_to_grid(landmarks, HAND_CROP_SIZE, 7), atol=1e-4, rtol=1e-4)
    assert torch.equal(found.vertices, found.rough_vertices)


@pytest.mark.parametrize("other", [[0], [1, 0], [0, 1, 2], [1, 0, 2, 4, 3], [1, 0, 3, 2, 5, 4]], ids=str)
def test_the_stages_onnx_computes_the_same_for_any_hands(exported, network, other):
    """One and two hands, of one image and of three, in any rows."""
    maps = [value.repeat(3, *[1] * (value.ndim - 1))[: len(other)] for value in network.stages.example_inputs()[:5]]
    random = torch.Generator().manual_seed(0)
    maps = [value + 0.1 * torch.rand(value.shape, generator=random) for value in maps]
    crops = HandCrops(
        centre=torch.rand(len(other), 2, generator=random) * 300 + 100,
        side=torch.rand(len(other), generator=random) * 100 + 100,
        angle=torch.rand(len(other), generator=random) * 4 - 2,
        mirrored=torch.arange(len(other)) % 2 == 1,
    )
    camera = torch.tensor([[500.0, 0, 320], [0, 480, 240], [0, 0, 1]])
    intrinsics, frames = crop_projection(crops.affine(HAND_CROP_SIZE), camera), crops.frame(camera)
    chosen = (*maps, intrinsics, frames, torch.tensor(other).float())
    with torch.no_grad():
        expected = network.stages(*chosen)
    feed = {name: value.numpy() for name, value in zip(HandStages.INPUTS, chosen, strict=True)}
    for name, found, reference in zip(StackedHands._fields, exported.run(None, feed), expected, strict=True):
        assert_close(torch.from_numpy(found), reference, atol=2e-5, rtol=1e-4, msg=lambda m, name=name: f"{name}: {m}")


@torch.no_grad()
def test_it_shows_where_it_attends(network, inputs):
    """A tile for each hand of each image, and nothing of a hand that is not there."""
    present = torch.tensor([[1.0, 1], [1, 0], [1, 1]])
    parts = {look.part: look.share for look in network.attention_maps(*inputs[:3], present)}
    assert len(parts) == 6
    assert all(share.shape == (6, 7, 7) for share in parts.values())
    for name in ("local", "global"):
        seen = parts[f"{name}: other hand's map"].sum((1, 2))
        assert (seen[[0, 1, 3, 4, 5]] > 0).all()
        assert seen[2] < 1e-20  # the right hand of the second image has no other one


def test_its_backbone_is_the_encoder(network):
    assert network.backbones() == (network.landmarker.encoder,)
