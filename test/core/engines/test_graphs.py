"""The ONNX graphs in the package: they agree with the networks, take all weights from the file, and fit its network."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.numpy import load_file, save_file

from lgnet_core.engines import graphs
from lgnet_core.engines.eager import EagerEngine
from lgnet_core.engines.graphs import GRAPHS_FOLDER, load_graph_engines, runs_graphs
from lgnet_core.hand_model import load_hand_model
from lgnet_core.io.checkpoint_files import BUNDLED_WEIGHTS, METADATA_KEY, CheckpointError, read_metadata
from lgnet_core.network import HandLGNet
from lgnet_core.network.checkpoint import load_network, save_network
from lgnet_core.network.detector.palm_detector import load_palm_detector


@pytest.fixture(scope="module")
def other_weights(tmp_path_factory) -> Path:
    """Weights of the bundled architecture, none of which has the bundled value."""
    network, metadata = load_network()
    with torch.no_grad():
        for parameter in [*network.parameters(), *(b for n, b in network.named_buffers() if "running" in n)]:
            parameter.mul_(1.01)
    path = tmp_path_factory.mktemp("weights") / "other.safetensors"
    save_network(path, network, {"preset": metadata.get("preset")})
    return path


def assert_agree(engine, network, count: int) -> None:
    """The outputs of a graph and of the network in eager mode agree to a ten-thousandth of their range."""
    inputs = [value.numpy()[:count] for value in network.example_inputs()]
    if count == 1 and len(inputs) > 1:
        inputs[-1] = np.zeros(1, np.float32)  # a single hand refers to itself
    eager = EagerEngine(network, "cpu")
    assert engine.input_shapes == eager.input_shapes
    for name, actual, expected in zip(network.OUTPUTS._fields, engine(*inputs), eager(*inputs), strict=True):
        assert isinstance(actual, np.ndarray)
        assert np.abs(actual - expected).max() <= 1e-4 * np.abs(expected).max(), name


@pytest.mark.parametrize("count", [1, 2])
def test_graphs_agree_with_the_bundled_networks(count):
    """A change to the code of a network needs new graphs: tools/builders/build_graphs.py."""
    network, _ = load_network()
    assert isinstance(network, HandLGNet)
    engines = load_graph_engines(None, threads=1)
    for engine, part in (
        (engines.palms, load_palm_detector()),
        (engines.landmarks, network.landmarker),
        (engines.stages, network.stages),
    ):
        assert_agree(engine, part, count)


def test_every_weight_comes_from_the_file(other_weights):
    network, _ = load_network(other_weights)
    assert isinstance(network, HandLGNet)
    engines = load_graph_engines(other_weights, threads=1)
    assert_agree(engines.landmarks, network.landmarker, 2)
    assert_agree(engines.stages, network.stages, 2)


def test_graphs_hold_no_weights():
    files = sorted(GRAPHS_FOLDER.glob("*.onnx"))
    assert [file.stem for file in files] == ["landmarks", "palms", "stages"]
    assert sum(file.stat().st_size for file in files) < 1 << 20
    for file in files:
        model = onnx.load(file, load_external_data=False)
        assert not [value.name for value in model.graph.initializer if value.raw_data or value.float_data]


def test_graphs_are_those_of_the_bundled_architecture():
    expected = graphs.architecture(read_metadata())
    for name in ("landmarks", "stages"):
        model = onnx.load(graphs.graph_path(name), load_external_data=False)
        found = {entry.key: entry.value for entry in model.metadata_props}
        assert {key: found[key] for key in expected} == expected, "run tools/builders/build_graphs.py"


@pytest.mark.parametrize("engine", ["auto", "onnx"])
def test_weights_of_the_architecture_run_as_graphs(other_weights, engine):
    assert runs_graphs(None, engine, "cpu")
    assert runs_graphs(other_weights, engine, "cpu")


@pytest.mark.parametrize("change", ["config", "hand_model", "network"])
def test_other_networks_need_torch(other_weights, tmp_path, change, monkeypatch):
    metadata = read_metadata(other_weights)
    other = {"config": {**metadata["config"], "channels": 64}, "hand_model": {"digest": "another"}, "network": "lgnet"}
    path = tmp_path / "other.safetensors"
    header = {METADATA_KEY: json.dumps({**metadata, change: other[change]})}
    save_file({"values": np.zeros(3, np.float32)}, path, header)
    assert not runs_graphs(path, "auto", "cpu")
    without_torch(monkeypatch)
    with pytest.raises(ImportError, match=r"another architecture.*pip install 'lgnet_ros\[torch\]'"):
        runs_graphs(path, "auto", "cpu")


def test_eager_needs_torch(monkeypatch):
    assert not runs_graphs(None, "eager", "cpu")
    without_torch(monkeypatch)
    with pytest.raises(ImportError, match=r"engine 'eager': needs PyTorch.*pip install 'lgnet_ros\[torch\]'"):
        runs_graphs(None, "eager", "cpu")


def test_unknown_engines_and_devices_are_named():
    with pytest.raises(ValueError, match="unknown engine 'tensorflow'"):
        runs_graphs(None, "tensorflow", "cpu")
    with pytest.raises(ValueError, match="unknown device 'tpu'"):
        runs_graphs(None, "auto", "tpu")


@pytest.mark.parametrize(("damage", "message"), [("missing", "1 missing"), ("shape", "shape"), ("nan", "not finite")])
def test_weights_that_do_not_match_are_named(other_weights, tmp_path, damage, message):
    tensors = load_file(other_weights)
    name = next(name for name in tensors if name.startswith("stages.") and tensors[name].ndim == 2)
    tensors[name] = {"shape": tensors[name][:-1], "nan": tensors[name] * np.nan, "missing": None}[damage]
    path = tmp_path / "damaged.safetensors"
    kept = {key: value for key, value in tensors.items() if value is not None}
    save_file(kept, path, {METADATA_KEY: json.dumps(read_metadata(other_weights))})
    with pytest.raises(CheckpointError, match=message) as raised:
        load_graph_engines(path)
    assert name in str(raised.value)


def test_constants_follow_the_hand_model():
    """Those of a larger hand are larger; the smoothing depends on the topology alone."""
    model = load_hand_model()
    config = read_metadata(BUNDLED_WEIGHTS)["config"]
    right = model.assets[0]
    larger = type(model)(replace(right, shapedirs=2 * right.shapedirs))
    small, large = (graphs.constants(each, config) for each in (model, larger))
    np.testing.assert_allclose(large["basis"][:10], 2 * small["basis"][:10])
    np.testing.assert_array_equal(large["fair"], small["fair"])
    np.testing.assert_allclose(small["fair"].sum(1), 1, atol=1e-5)


def without_torch(monkeypatch) -> None:
    """Make torch look as if it were not installed."""
    find_spec = graphs.importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "torch" else find_spec(name))
