"""Engines: which one runs where, and what the eager one returns."""

import logging

import numpy as np
import pytest
import torch
from small_network import small_network

from lgnet_core.inference.cuda_graph import CudaGraphEngine
from lgnet_core.inference.eager import EagerEngine
from lgnet_core.inference.engine import OutOfMemoryError, memory_errors, resolve_device
from lgnet_core.inference.engine_choice import make_engine
from lgnet_core.inference.onnx_engine import OnnxEngine
from lgnet_core.network import HandsPrediction

without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without CUDA")
SIZE = 64


@pytest.fixture(scope="module")
def network(hand_model):
    return small_network(hand_model)


def crops(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(count)
    intrinsics = np.array([[160.0, 0, 31.5], [0, 150, 30], [0, 0, 1]], np.float32)
    return rng.random((count, 3, SIZE, SIZE), np.float32), np.repeat(intrinsics[None], count, 0)


def test_eager_answers_in_single_precision_on_the_cpu(network):
    engine = EagerEngine(network, "cpu", SIZE)
    images, intrinsics = crops(2)
    found = engine(images, intrinsics)
    with torch.inference_mode():
        expected = network(torch.from_numpy(images), torch.from_numpy(intrinsics))
    for name, mine, theirs in zip(HandsPrediction._fields, found, expected):
        assert mine.dtype == torch.float32, name
        assert mine.device.type == "cpu"
        torch.testing.assert_close(mine, theirs)
    assert str(engine) == "eager on cpu, fp32"


def test_answers_are_the_callers_own(network):
    engine = EagerEngine(network, "cpu", SIZE)
    first = engine(*crops(1))
    kept = first.vertices.clone()
    images, intrinsics = crops(1)
    engine(1 - images, intrinsics)
    torch.testing.assert_close(first.vertices, kept, rtol=0, atol=0)


@without_cuda
@pytest.mark.parametrize("engine", ["eager", "onnx", "cuda-graph", "auto"])
def test_cuda_without_cuda_is_an_error_with_the_cure(network, engine):
    with pytest.raises(RuntimeError, match=r"(without CUDA|no CUDA device).*'cpu' or 'auto'"):
        make_engine(network, engine, "cuda")


@without_cuda
def test_cuda_graphs_never_fall_back_in_silence(network):
    with pytest.raises(RuntimeError, match="cuda-graph"):
        CudaGraphEngine(network)
    with pytest.raises(RuntimeError, match="cuda-graph"):
        make_engine(network, "cuda-graph")


@pytest.mark.parametrize("device", ["gpu", "tpu", "mps", ""])
def test_unknown_devices_are_refused(device):
    with pytest.raises(ValueError, match="not known"):
        resolve_device(device)


def test_unknown_engines_are_refused(network):
    with pytest.raises(ValueError, match="onnx"):
        make_engine(network, "openvino")


@without_cuda
def test_auto_is_onnx_on_a_cpu(network, monkeypatch):
    monkeypatch.setattr(OnnxEngine, "from_network", lambda *given: given)
    assert make_engine(network, image_size=SIZE, threads=1) == (network, "cpu", SIZE, 1)


@without_cuda
def test_auto_is_eager_where_onnx_runtime_is_missing(network, monkeypatch, caplog):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with caplog.at_level(logging.WARNING):
        assert isinstance(make_engine(network, image_size=SIZE), EagerEngine)
    assert "pip install onnxruntime" in caplog.text


@pytest.mark.gpu
def test_cuda_graphs_agree_with_eager(network):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    graph, eager = CudaGraphEngine(network, image_size=SIZE), EagerEngine(network, "cuda", SIZE)
    try:
        for count in (1, 2, 1):
            mine, theirs = graph(*crops(count)), eager(*crops(count))
            torch.testing.assert_close(mine.joints, theirs.joints, rtol=0, atol=2e-3)
            torch.testing.assert_close(mine.vertices, theirs.vertices, rtol=0, atol=2e-3)
    finally:
        network.to("cpu")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc"),
        RuntimeError("BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 99"),
    ],
)
def test_a_full_memory_has_one_name(error):
    with pytest.raises(OutOfMemoryError, match="memory of cuda:0 is full") as raised, memory_errors("cuda:0"):
        raise error
    assert raised.value.__cause__ is error


def test_other_errors_keep_their_name(network):
    images, intrinsics = crops(1)
    with pytest.raises(RuntimeError) as raised:
        EagerEngine(network, "cpu", SIZE)(images[:, :2], intrinsics)
    assert not isinstance(raised.value, OutOfMemoryError)
