"""ONNX Runtime engine, compared with the eager engine."""

import hashlib
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from support.small_network import SMALL, small_network
from support.tiny_network import TinyNetwork, TinyOutputs, tiny_inputs

from lgnet_core.engines import onnx as onnx_engine
from lgnet_core.engines.eager import EagerEngine
from lgnet_core.engines.export import export_onnx, network_digest
from lgnet_core.engines.export_cache import cached_onnx
from lgnet_core.engines.onnx import OnnxEngine
from lgnet_core.io.cache import CACHE_VARIABLE
from lgnet_core.network import HandsPrediction


def crops(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(count)
    intrinsics = np.array([[2.5 * size, 0, 0.4 * size], [0, 2.3 * size, 0.6 * size], [0, 0, 1]], np.float32)
    return rng.random((count, 3, size, size), np.float32), np.repeat(intrinsics[None], count, 0)


def assert_agree(actual: HandsPrediction, expected: HandsPrediction) -> None:
    for name, a, b in zip(HandsPrediction._fields, actual, expected):
        assert a.dtype == np.float32
        assert a.shape == b.shape
        assert np.abs(a - b).max() <= 1e-3 * np.abs(b).max(), name


def test_onnx_agrees_with_eager(hand_model, tmp_path):
    network, size = small_network(hand_model, config="lgnet-mini"), 256
    export_onnx(network, tmp_path / "hands.onnx")
    engine = OnnxEngine(tmp_path / "hands.onnx", HandsPrediction, "cpu", threads=1)
    eager = EagerEngine(network, "cpu")
    assert engine.image_size == eager.image_size == size
    assert engine.metadata["weights"] == network_digest(network)
    for count in (1, 2):
        assert_agree(engine(*crops(count, size)), eager(*crops(count, size)))


def test_unused_inputs_are_omitted_from_the_file_but_accepted(tmp_path):
    network = TinyNetwork().eval()
    export_onnx(network, tmp_path / "tiny.onnx")
    engine, eager = OnnxEngine(tmp_path / "tiny.onnx", TinyOutputs, "cpu", threads=1), EagerEngine(network, "cpu")
    assert engine.input_shapes == eager.input_shapes
    assert list(engine.input_shapes) == list(TinyNetwork.INPUTS)
    for batch in (1, 3):
        outputs = engine(*tiny_inputs(batch))
        assert type(outputs) is TinyOutputs
        for actual, expected in zip(outputs, eager(*tiny_inputs(batch))):
            np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        engine(*tiny_inputs(1)[:2])


@pytest.mark.parametrize(("slopes", "has_prelu"), [(4, False), (1, True)])
def test_channelwise_prelu_is_exported_as_convolutions(tmp_path, slopes, has_prelu):
    network = TinyNetwork().eval()
    network.norm = torch.nn.PReLU(slopes)
    torch.nn.init.uniform_(network.norm.weight, -2, 2)
    export_onnx(network, tmp_path / "tiny.onnx")
    operators = {node.op_type for node in onnx.load(tmp_path / "tiny.onnx").graph.node}
    assert ("PRelu" in operators) == has_prelu
    engine = OnnxEngine(tmp_path / "tiny.onnx", TinyOutputs, "cpu", threads=1)
    for actual, expected in zip(engine(*tiny_inputs(3)), EagerEngine(network, "cpu")(*tiny_inputs(3))):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_network_without_refine_stage_ignores_intrinsics(hand_model, tmp_path):
    network = small_network(hand_model, config=replace(SMALL, refine_stage=False))
    engine = exported(network, tmp_path)
    eager = EagerEngine(network, "cpu", inputs=network.example_inputs(64))
    assert_agree(engine(*crops(2, 64)), eager(*crops(2, 64)))


def test_nan_intrinsics_affect_only_their_own_crop(hand_model, tmp_path):
    engine = exported(small_network(hand_model), tmp_path)
    images, intrinsics = crops(2, 64)
    expected = engine(images, intrinsics)
    intrinsics[0] = np.nan
    prediction = engine(images, intrinsics)
    assert np.isnan(prediction.vertices[0]).all()
    np.testing.assert_allclose(prediction.vertices[1], expected.vertices[1], rtol=1e-5, atol=1e-8)


def test_damaged_cache_entry_is_exported_again(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    network = TinyNetwork().eval()
    export_onnx(network, tmp_path / "good")
    good = (tmp_path / "good").read_bytes()
    monkeypatch.setattr("lgnet_core.engines.export_cache.onnx_content", lambda network, inputs: good)
    path = cached_onnx(network)
    path.write_bytes(good[:200])
    path.with_suffix(".sha256").write_text(
        hashlib.sha256(good[:200]).hexdigest()
    )  # damaged before the checksum was written
    engine = OnnxEngine.from_network(network, "cpu", threads=1)
    for actual, expected in zip(engine(*tiny_inputs(1)), EagerEngine(network, "cpu")(*tiny_inputs(1))):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
    assert list(tmp_path.glob("*.onnx")) == [path]


def test_engine_of_an_export_in_memory(tmp_path, monkeypatch):
    """What the cache returns where it cannot be written."""
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    network = TinyNetwork().eval()
    engine = OnnxEngine.from_network(network, "cpu", threads=1)
    for actual, expected in zip(engine(*tiny_inputs(1)), EagerEngine(network, "cpu")(*tiny_inputs(1))):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_invalid_or_missing_file_raises(tmp_path):
    (tmp_path / "text.onnx").write_text("hands")
    with pytest.raises(ValueError, match="lgnet export"):
        OnnxEngine(tmp_path / "text.onnx", TinyOutputs, "cpu")
    with pytest.raises(ValueError, match="lgnet export"):
        OnnxEngine(tmp_path / "missing.onnx", TinyOutputs, "cpu")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_export_of_another_network_raises(tmp_path):
    path = tmp_path / "other.onnx"
    torch.onnx.export(torch.nn.Linear(3, 2), (torch.zeros(1, 3),), path, dynamo=False, input_names=["x"])
    with pytest.raises(ValueError, match=r"not an export of a network with outputs \['map', 'total'\]"):
        OnnxEngine(path, TinyOutputs, "cpu")
    export_onnx(TinyNetwork(), tmp_path / "tiny.onnx")
    with pytest.raises(ValueError, match="not an export of a network with outputs"):
        OnnxEngine(tmp_path / "tiny.onnx", HandsPrediction, "cpu")


@pytest.mark.parametrize(("requested", "cores", "expected"), [(None, 3, 3), (5, 3, 5)])
def test_thread_count_and_spinning(tmp_path, monkeypatch, requested, cores, expected):
    monkeypatch.setattr(onnx_engine, "available_cores", lambda: cores)
    export_onnx(TinyNetwork(), tmp_path / "tiny.onnx")
    options = OnnxEngine(tmp_path / "tiny.onnx", TinyOutputs, "cpu", requested).session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (expected, 1)
    assert options.get_session_config_entry("session.force_spinning_stop") == "1"
    assert 0 < int(options.get_session_config_entry("session.intra_op.spin_duration_us")) < 1000


def exported(network, folder) -> OnnxEngine:
    export_onnx(network, folder / "hands.onnx", network.example_inputs(64))
    return OnnxEngine(folder / "hands.onnx", HandsPrediction, "cpu", threads=1)
