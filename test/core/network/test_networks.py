"""Properties of all networks with one crop: LGNet and the baselines."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.random_batch import random_batch
from support.small_network import crops
from torch.testing import assert_close

from lgnet_core.engines.eager import EagerEngine
from lgnet_core.engines.export import export_onnx
from lgnet_core.evaluation.benchmark.bench import count_macs
from lgnet_core.io.checkpoint_files import CheckpointError, read_metadata
from lgnet_core.network import HandsPrediction, build_network, find_config
from lgnet_core.network.checkpoint import load_network, save_network
from lgnet_core.network.config import EANetConfig, InterShapeConfig, LGNetConfig, preset_name
from lgnet_core.training.losses.config import LOSS_PRESETS, loss_weights
from lgnet_core.training.losses.criterion import HandsLoss

LITE = "efficientnet_lite0"
CONFIGS = [
    LGNetConfig(backbone=LITE, channels=16, self_joint_depth=1, refine_channels=8),
    EANetConfig(backbone=LITE, channels=16, self_joint_depth=1),
    InterShapeConfig(backbone=LITE, decoder_channels=8, heatmap_depth=8, hidden=16),
]
every_network = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def network(config, hand_model):
    """Random weights; parameters initialised close to zero are enlarged."""
    network = build_network(config, hand_model)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.abs().max() < 0.02:
                parameter.normal_(std=0.05)
    return network


def shapes(prediction):
    return {name: tuple(value.shape) for name, value in prediction._asdict().items()}


@every_network
@pytest.mark.parametrize("size", [32, 64, 160])
def test_shapes_at_any_size(network, size):
    prediction = network.eval()(*crops(2, size))
    assert shapes(prediction) == {
        "joints_grid": (2, 2, 21, 3),
        "joint_log_variance": (2, 2, 21),
        "presence_logits": (2, 2),
        "rotations": (2, 2, 16, 3, 3),
        "shape": (2, 2, 10),
        "camera": (2, 2, 3),
        "rough_vertices": (2, 2, 778, 3),
        "rough_joints": (2, 2, 21, 3),
        "vertices": (2, 2, 778, 3),
        "joints": (2, 2, 21, 3),
        "relative_translation": (2, 3),
    }
    assert all(value.isfinite().all() for value in prediction)
    assert (prediction.camera[..., 0] > 0).all()
    identity = prediction.rotations @ prediction.rotations.mT
    assert_close(identity, torch.eye(3).expand_as(identity), atol=1e-5, rtol=0)
    assert_close(prediction.joints[:, :, 0], torch.zeros(2, 2, 3), atol=1e-6, rtol=0)


@every_network
def test_rotations_and_shape_reproduce_the_rough_mesh(network, hand_model):
    prediction = network.eval()(*crops(2, 64))
    mesh = hand_model(prediction.rotations, prediction.shape).wrist_relative()
    assert_close(prediction.rough_vertices, mesh.vertices)
    assert_close(prediction.rough_joints, mesh.joints)


@every_network
@pytest.mark.parametrize("shape", [(1, 3, 64, 96), (1, 3, 100, 100)])
def test_invalid_image_size_raises(network, shape):
    with pytest.raises(ValueError, match="multiple of 32"):
        network(torch.rand(shape), crops(1, 64)[1])


@every_network
def test_prediction_is_independent_of_the_batch(network):
    image, intrinsics = crops(3, 64)
    with torch.no_grad():
        batch, single = network.eval()(image, intrinsics), network(image[1:2], intrinsics[1:2])
    for a, b in zip(batch, single):
        assert_close(a[1:2], b, atol=1e-4, rtol=1e-4)


@every_network
def test_loss_has_a_gradient_for_every_parameter(network, hand_model):
    """With the network's ``default`` loss preset; otherwise a head would never be trained."""
    batch, weights = random_batch(hand_model), loss_weights("default", network.config.kind)
    criterion = HandsLoss(hand_model, weights, network.config.depth_box)
    prediction, intermediates = network.forward_intermediates(torch.rand(2, 3, 128, 128), batch.intrinsics)
    total, terms = criterion(prediction, batch, batch.labels(hand_model), intermediates)
    assert total.isfinite()
    assert set(terms) <= set(vars(weights))
    total.backward()
    without_gradient = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without_gradient == []


@every_network
def test_total_loss_is_the_weighted_sum_of_its_terms(network, hand_model):
    batch = random_batch(hand_model)
    labels = batch.labels(hand_model)
    with torch.no_grad():
        prediction, intermediates = network.eval().forward_intermediates(torch.rand(2, 3, 128, 128), batch.intrinsics)
        for weights in LOSS_PRESETS[network.config.kind].values():
            total, terms = HandsLoss(hand_model, weights, 0.5)(prediction, batch, labels, intermediates)
            expected = sum(getattr(weights, name) * term.item() for name, term in terms.items())
            assert total.item() == pytest.approx(expected, rel=1e-5)


@every_network
def test_scaling_the_standard_deviations(network):
    """Nothing else changes."""
    inputs = crops(1, 64)
    with torch.no_grad():
        before = network.eval()(*inputs)
        network.scale_joint_std(0.7)
        after = network(*inputs)
    for name, old, new in zip(HandsPrediction._fields, before, after):
        scale = 0.49 if name == "joint_log_variance" else None
        assert_close(new, old if scale is None else (old.exp() * scale).log())


@every_network
def test_checkpoint_round_trip(network, hand_model, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_network(path, network, {})
    loaded, metadata = load_network(path, hand_model)
    assert (type(loaded), loaded.config) == (type(network), network.config)
    assert metadata["network"] == network.config.kind
    assert not [name for name in load_file(path) if "hand_model" in name]
    inputs = crops(1, 64)
    with torch.no_grad():
        for a, b in zip(network.eval()(*inputs), loaded(*inputs)):
            assert_close(a, b, rtol=0, atol=0)


def test_checkpoint_without_network_kind_is_an_lgnet(hand_model, tmp_path, monkeypatch):
    """For files written before there were other kinds."""
    network = build_network(CONFIGS[0], hand_model)
    metadata = read_metadata(_saved(network, tmp_path / "new.safetensors"))
    assert metadata["network"] == "lgnet"
    unnamed = _saved(network, tmp_path / "old.safetensors", lambda header: header.pop("network"), monkeypatch)
    assert "network" not in read_metadata(unnamed)
    assert load_network(unnamed, hand_model)[0].config == network.config


def test_unknown_network_kind_raises(hand_model, tmp_path, monkeypatch):
    network = build_network(CONFIGS[0], hand_model)
    path = _saved(network, tmp_path / "x.safetensors", lambda header: header.update(network="handsnet"), monkeypatch)
    with pytest.raises(CheckpointError, match=r"'handsnet'.*use the version that wrote it"):
        load_network(path, hand_model)


def _saved(network, path, change=None, monkeypatch=None):
    if change is not None:
        from lgnet_core.network import checkpoint

        write = checkpoint._write

        def changed(path, module, header, half):
            header = dict(header)
            change(header)
            write(path, module, header, half)

        monkeypatch.setattr(checkpoint, "_write", changed)
    save_network(path, network, {})
    return path


@every_network
def test_onnx_export_agrees(network, tmp_path):
    """ONNX Runtime agrees with eager torch for any batch size."""
    pytest.importorskip("onnx")
    onnx_engine = pytest.importorskip("lgnet_core.engines.onnx")
    inputs = network.example_inputs(64)
    export_onnx(network.eval(), tmp_path / "network.onnx", inputs)
    exported = onnx_engine.OnnxEngine(tmp_path / "network.onnx", HandsPrediction, "cpu", threads=1)
    eager = EagerEngine(network, "cpu", inputs=inputs)
    for batch in (1, 3):
        inputs = [x.numpy() for x in crops(batch, 64)]
        for name, a, b in zip(HandsPrediction._fields, eager(*inputs), exported(*inputs)):
            assert np.abs(a - b).max() <= 1e-3 * np.abs(a).max(), name


@every_network
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mixed_precision_returns_float32(network, dtype):
    inputs = crops(2, 64)
    with torch.autocast("cpu", dtype):
        prediction, _ = network.forward_intermediates(*inputs)
    assert all(value.dtype == torch.float32 for value in prediction)
    sum(value.square().mean() for value in prediction).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


@every_network
def test_attention_maps(network):
    """Unique names, non-negative weights, one map per image."""
    with torch.no_grad():
        maps = network.eval().attention_maps(*crops(2, 64))
    assert len({attention_map.name for attention_map in maps}) == len(maps) >= 6
    for _, weights in maps:
        assert weights.shape[0] == 2
        assert weights.ndim == 3
        assert weights.isfinite().all()
        assert (weights >= 0).all()


@every_network
def test_macs_are_counted(network):
    assert count_macs(network.eval(), network.example_inputs(64)) > 1e7
    assert preset_name(network.config) == "custom"


@pytest.mark.parametrize("preset", ["lgnet-mini", "lgnet-mini-paper", "eanet", "intershape-mini-paper"])
def test_preset_name_of_a_preset(preset):
    assert preset_name(find_config(preset)) == preset


@every_network
def test_network_with_another_backbone(config, hand_model):
    network = build_network(replace(config, backbone="resnet50"), hand_model).eval()
    assert all(backbone.deep_channels == 2048 for backbone in network.backbones())
    with torch.no_grad():
        assert all(value.isfinite().all() for value in network(*crops(1, 64)))
