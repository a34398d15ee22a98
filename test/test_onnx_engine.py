"""ONNX Runtime against eager torch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_network import SMALL, small_network

from lgnet_core.cache import CACHE_VARIABLE
from lgnet_core.export import cached_onnx, export_onnx, network_digest
from lgnet_core.inference.eager import EagerEngine
from lgnet_core.inference.onnx_engine import OnnxEngine
from lgnet_core.network import HandsPrediction


def crops(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(count)
    intrinsics = np.array([[2.5 * size, 0, 0.4 * size], [0, 2.3 * size, 0.6 * size], [0, 0, 1]], np.float32)
    return rng.random((count, 3, size, size), np.float32), np.repeat(intrinsics[None], count, 0)


def assert_agree(mine: HandsPrediction, theirs: HandsPrediction) -> None:
    for name, a, b in zip(HandsPrediction._fields, mine, theirs):
        assert a.dtype == torch.float32
        assert a.shape == b.shape
        assert (a - b).abs().max() <= 1e-3 * b.abs().max(), name


def test_onnx_agrees_with_eager(hand_model, tmp_path):
    network, size = small_network(hand_model, config="lgnet-mini"), 256
    export_onnx(network, tmp_path / "hands.onnx", size)
    engine, eager = OnnxEngine(tmp_path / "hands.onnx", threads=1), EagerEngine(network, "cpu", size)
    assert engine.image_size == size
    assert engine.metadata["weights"] == network_digest(network)
    for count in (1, 2):
        assert_agree(engine(*crops(count, size)), eager(*crops(count, size)))


def test_a_network_without_refine_stage_needs_no_intrinsics(hand_model, tmp_path):
    network = small_network(hand_model, config=replace(SMALL, refine_stage=False))
    export_onnx(network, tmp_path / "rough.onnx", 64)
    engine = OnnxEngine(tmp_path / "rough.onnx", "cpu", threads=1)
    assert_agree(engine(*crops(2, 64)), EagerEngine(network, "cpu", 64)(*crops(2, 64)))


def test_intrinsics_that_are_no_numbers_harm_their_own_crop_only(hand_model, tmp_path):
    export_onnx(small_network(hand_model), tmp_path / "hands.onnx", 64)
    engine = OnnxEngine(tmp_path / "hands.onnx", "cpu", threads=1)
    images, intrinsics = crops(2, 64)
    expected = engine(images, intrinsics)
    intrinsics[0] = np.nan
    prediction = engine(images, intrinsics)
    assert prediction.vertices[0].isnan().all()
    assert torch.allclose(prediction.vertices[1], expected.vertices[1])


def test_a_damaged_cache_entry_is_exported_again(hand_model, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    network = small_network(hand_model)
    export_onnx(network, tmp_path / "good", 64)
    good = (tmp_path / "good").read_bytes()
    monkeypatch.setattr("lgnet_core.export.export_onnx", lambda network, path, size: path.write_bytes(good))
    path = cached_onnx(network, 64)
    path.write_bytes(good[:1000])
    engine = OnnxEngine.from_network(network, "cpu", 64, threads=1)
    assert_agree(engine(*crops(1, 64)), EagerEngine(network, "cpu", 64)(*crops(1, 64)))
    assert list(tmp_path.glob("*.onnx")) == [path]


def test_files_that_are_no_network_are_refused(tmp_path):
    (tmp_path / "text.onnx").write_text("hands")
    with pytest.raises(ValueError, match="lgnet export"):
        OnnxEngine(tmp_path / "text.onnx", "cpu")
    with pytest.raises(ValueError, match="lgnet export"):
        OnnxEngine(tmp_path / "missing.onnx", "cpu")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_other_networks_are_refused(tmp_path):
    stream = tmp_path / "other.onnx"
    torch.onnx.export(torch.nn.Linear(3, 2), (torch.zeros(1, 3),), stream, dynamo=False, input_names=["x"])
    with pytest.raises(ValueError, match="not an LGNet export"):
        OnnxEngine(stream, "cpu")
