"""Engines: which one runs where, and what the eager one returns."""

import logging

import pytest
import torch
from support.tiny_network import Tiny, TinyNetwork, tiny_inputs

from lgnet_core.engines import eager
from lgnet_core.engines.base import OutOfMemoryError, memory_errors, resolve_device
from lgnet_core.engines.cuda_graph import CudaGraphEngine
from lgnet_core.engines.eager import EagerEngine
from lgnet_core.engines.factory import make_engine
from lgnet_core.engines.onnx import OnnxEngine

without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without CUDA")


@pytest.fixture
def network():
    return TinyNetwork().eval()


def test_eager_returns_the_networks_outputs_in_single_precision_on_the_cpu(network):
    engine = EagerEngine(network, "cpu")
    inputs = tiny_inputs(2)
    found = engine(*inputs)
    with torch.inference_mode():
        expected = network(*map(torch.from_numpy, inputs))
    assert type(found) is Tiny
    for name, mine, theirs in zip(Tiny._fields, found, expected):
        assert mine.dtype == torch.float32, name
        assert mine.device.type == "cpu"
        torch.testing.assert_close(mine, theirs)
    assert str(engine) == "eager on cpu, fp32"


def test_an_engine_knows_the_shapes_that_it_runs_at(network):
    assert EagerEngine(network, "cpu").input_shapes == {"image": (3, 8, 8), "scale": (2,), "unused": ()}
    larger = EagerEngine(network, "cpu", inputs=TinyNetwork(16).example_inputs())
    assert larger.input_shapes["image"] == (3, 16, 16)
    assert larger.image_size == 16


def test_outputs_are_the_callers_own(network):
    engine = EagerEngine(network, "cpu")
    image, *rest = tiny_inputs(1)
    first = engine(image, *rest)
    kept = first.map.clone()
    engine(1 - image, *rest)
    torch.testing.assert_close(first.map, kept, rtol=0, atol=0)


def test_threads_of_the_eager_engine_are_torchs(network, monkeypatch):
    """Without a number, never more than the cores, nor than the program has chosen."""
    chosen = []
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    for cores in (2, 8):
        monkeypatch.setattr(eager, "available_cores", lambda cores=cores: cores)
        EagerEngine(network, "cpu")
    EagerEngine(network, "cpu", threads=6)
    assert chosen == [2, 4, 6]


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
    assert make_engine(network, threads=1, inputs=()) == (network, "cpu", 1, ())


@without_cuda
def test_auto_is_eager_where_onnx_runtime_is_missing(network, monkeypatch, caplog):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with caplog.at_level(logging.WARNING):
        assert isinstance(make_engine(network), EagerEngine)
    assert "pip install onnxruntime" in caplog.text


@pytest.mark.gpu
def test_cuda_graphs_agree_with_eager(network):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    graph, plain = CudaGraphEngine(network), EagerEngine(network, "cuda")
    for count in (1, 2, 1):
        for mine, theirs in zip(graph(*tiny_inputs(count)), plain(*tiny_inputs(count))):
            torch.testing.assert_close(mine, theirs, rtol=1e-2, atol=2e-2)


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
    image, *rest = tiny_inputs(1)
    with pytest.raises(RuntimeError) as raised:
        EagerEngine(network, "cpu")(image[:, :2], *rest)
    assert not isinstance(raised.value, OutOfMemoryError)
