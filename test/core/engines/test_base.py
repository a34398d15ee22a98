"""Engine selection, device resolution, memory errors, and the eager engine."""

import logging

import numpy as np
import pytest
import torch
from support.tiny_network import TinyNetwork, TinyOutputs, tiny_inputs

from lgnet_core.engines import eager
from lgnet_core.engines.base import OutOfMemoryError, resolve_device, unify_memory_errors
from lgnet_core.engines.cuda_graph import CudaGraphEngine
from lgnet_core.engines.eager import EagerEngine
from lgnet_core.engines.factory import make_engine
from lgnet_core.engines.onnx import OnnxEngine

without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="tests the behaviour without CUDA")


@pytest.fixture
def network():
    return TinyNetwork().eval()


def test_eager_engine_returns_float32_arrays_of_the_network(network):
    engine = EagerEngine(network, "cpu")
    inputs = tiny_inputs(2)
    outputs = engine(*inputs)
    with torch.inference_mode():
        expected = network(*map(torch.from_numpy, inputs))
    assert type(outputs) is TinyOutputs
    for name, actual, reference in zip(TinyOutputs._fields, outputs, expected):
        assert actual.dtype == np.float32, name
        np.testing.assert_allclose(actual, reference, rtol=1e-6)
    assert str(engine) == "eager on cpu, fp32"


def test_input_shapes(network):
    assert EagerEngine(network, "cpu").input_shapes == {"image": (3, 8, 8), "scale": (2,), "unused": ()}
    larger = EagerEngine(network, "cpu", inputs=TinyNetwork(16).example_inputs())
    assert larger.input_shapes["image"] == (3, 16, 16)
    assert larger.image_size == 16


def test_outputs_are_not_overwritten_by_later_calls(network):
    engine = EagerEngine(network, "cpu")
    image, *rest = tiny_inputs(1)
    first = engine(image, *rest)
    kept = first.map.copy()
    engine(1 - image, *rest)
    np.testing.assert_array_equal(first.map, kept)


def test_eager_engine_sets_torch_threads(network, monkeypatch):
    """By default at most the available cores and torch's current number."""
    thread_counts = []
    monkeypatch.setattr(torch, "set_num_threads", thread_counts.append)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    for cores in (2, 8):
        monkeypatch.setattr(eager, "available_cores", lambda cores=cores: cores)
        EagerEngine(network, "cpu")
    EagerEngine(network, "cpu", threads=6)
    assert thread_counts == [2, 4, 6]


@without_cuda
@pytest.mark.parametrize("engine", ["eager", "onnx", "cuda-graph", "auto"])
def test_requesting_cuda_without_cuda_raises_with_remedy(network, engine):
    with pytest.raises(RuntimeError, match=r"(without CUDA|no CUDA device).*'cpu' or 'auto'"):
        make_engine(network, engine, "cuda")


@without_cuda
def test_cuda_graph_engine_does_not_fall_back_silently(network):
    with pytest.raises(RuntimeError, match="cuda-graph"):
        CudaGraphEngine(network)
    with pytest.raises(RuntimeError, match="cuda-graph"):
        make_engine(network, "cuda-graph")


@pytest.mark.parametrize("device", ["gpu", "tpu", "mps", ""])
def test_unknown_device_raises(device):
    with pytest.raises(ValueError, match="unknown device"):
        resolve_device(device)


def test_unknown_engine_raises(network):
    with pytest.raises(ValueError, match="onnx"):
        make_engine(network, "openvino")


@without_cuda
def test_auto_selects_onnx_on_the_cpu(network, monkeypatch):
    monkeypatch.setattr(OnnxEngine, "from_network", lambda *arguments: arguments)
    assert make_engine(network, threads=1, inputs=()) == (network, "cpu", 1, ())


@without_cuda
def test_auto_selects_eager_with_a_warning_without_onnx_runtime(network, monkeypatch, caplog):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with caplog.at_level(logging.WARNING):
        assert isinstance(make_engine(network), EagerEngine)
    assert "pip install onnxruntime" in caplog.text


@pytest.mark.gpu
def test_cuda_graph_engine_agrees_with_eager_engine(network):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    graph, eager_engine = CudaGraphEngine(network), EagerEngine(network, "cuda")
    for count in (1, 2, 1):
        for actual, reference in zip(graph(*tiny_inputs(count)), eager_engine(*tiny_inputs(count))):
            torch.testing.assert_close(actual, reference, rtol=1e-2, atol=2e-2)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc"),
        RuntimeError("BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 99"),
    ],
)
def test_out_of_memory_errors_are_unified(error):
    with pytest.raises(OutOfMemoryError, match="cuda:0 is out of memory") as raised, unify_memory_errors("cuda:0"):
        raise error
    assert raised.value.__cause__ is error


def test_other_errors_are_not_converted(network):
    image, *rest = tiny_inputs(1)
    with pytest.raises(RuntimeError) as raised:
        EagerEngine(network, "cpu")(image[:, :2], *rest)
    assert not isinstance(raised.value, OutOfMemoryError)
