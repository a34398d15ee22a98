"""Exported ONNX files and network digests."""

import copy
import json
import os

import onnx
import pytest
import torch
from support.small_network import small_network
from support.tiny_network import TinyNetwork, TinyOutputs

from lgnet_core import __version__
from lgnet_core.engines.export import export_onnx, network_digest


@pytest.fixture
def network():
    return TinyNetwork(about="a test").eval()


def test_exported_file_contains_metadata(network, tmp_path):
    network.train()
    export_onnx(network, tmp_path / "tiny.onnx")
    assert network.training  # the caller's network is unchanged
    model = onnx.load(tmp_path / "tiny.onnx")
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata["version"] == __version__
    assert metadata["weights"] == network_digest(network)
    assert (metadata["network"], metadata["about"]) == ("TinyNetwork", "a test")
    assert json.loads(metadata["inputs"]) == {"image": [3, 8, 8], "scale": [2], "unused": []}
    assert [value.name for value in model.graph.input] == ["image", "scale"]
    assert tuple(value.name for value in model.graph.output) == TinyOutputs._fields
    assert os.listdir(tmp_path) == ["tiny.onnx"]  # no temporary files remain


def test_name_shared_by_input_and_output_raises(network, tmp_path, monkeypatch):
    monkeypatch.setattr(TinyNetwork, "INPUTS", ("map", "scale", "unused"))
    with pytest.raises(ValueError, match=r"TinyNetwork: \['map'\] are names of inputs and outputs"):
        export_onnx(network, tmp_path / "tiny.onnx")


def test_description_of_a_hands_network(hand_model):
    description = small_network(hand_model).description()
    assert description["preset"] == "custom"
    assert description["hand_model"] == hand_model.digest
    assert json.loads(description["config"])["channels"] == 16


def test_sizes_except_the_batch_are_constants(hand_model, tmp_path):
    """Hundreds of shape computations would cost about as much as a graph layer."""
    network = small_network(hand_model)
    export_onnx(network, tmp_path / "hands.onnx", network.example_inputs(64))
    nodes = onnx.load(tmp_path / "hands.onnx").graph.node
    assert sum(node.op_type == "Shape" for node in nodes) < 50
    assert len(nodes) > 1000


def test_digest_depends_on_class_description_weights_and_buffers(network):
    class Other(TinyNetwork):
        pass

    digests = [network_digest(other) for other in (network, Other(about="a test"), TinyNetwork(about="another"))]
    assert network_digest(TinyNetwork(about="a test")) == digests[0]
    with torch.no_grad():
        network.conv.weight[0, 0, 0, 0] += 1e-3
    digests.append(network_digest(network))
    network.norm.running_mean[0] += 1
    digests.append(network_digest(network))
    assert len(set(digests)) == 5


def test_digest_depends_on_the_hand_model(hand_model):
    network = small_network(copy.deepcopy(hand_model))
    before = network_digest(network)
    network.hand_model.v_template[0, 0, 0] += 1e-3
    assert network_digest(network) != before
