"""The ONNX file and its cache."""

import copy
import hashlib
import json
import logging
import os

import onnx
import pytest
import torch
from support.small_network import small_network
from support.tiny_network import Tiny, TinyNetwork

from lgnet_core import __version__
from lgnet_core.engines import export
from lgnet_core.engines.export import cached_onnx, export_onnx, network_digest
from lgnet_core.io.cache import CACHE_VARIABLE, cache_directory


@pytest.fixture
def network():
    return TinyNetwork(about="a test").eval()


@pytest.fixture
def exports(monkeypatch, tmp_path) -> list:
    """The cache in a folder of its own, and a quick export that counts its calls."""
    calls: list = []

    def quick(network, path, inputs):
        calls.append(path)
        path.write_bytes(b"network")

    monkeypatch.setattr(export, "export_onnx", quick)
    monkeypatch.setattr(export, "_temporary", None)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return calls


def test_the_file_describes_itself(network, tmp_path):
    network.train()
    export_onnx(network, tmp_path / "tiny.onnx")
    assert network.training  # the caller's network is left as it was
    model = onnx.load(tmp_path / "tiny.onnx")
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert about["version"] == __version__
    assert about["weights"] == network_digest(network)
    assert (about["network"], about["about"]) == ("TinyNetwork", "a test")
    assert json.loads(about["inputs"]) == {"image": [3, 8, 8], "scale": [2], "unused": []}
    assert [value.name for value in model.graph.input] == ["image", "scale"]
    assert tuple(value.name for value in model.graph.output) == Tiny._fields
    assert os.listdir(tmp_path) == ["tiny.onnx"]  # nothing half written is left


def test_a_name_is_an_input_or_an_output(network, tmp_path, monkeypatch):
    monkeypatch.setattr(TinyNetwork, "INPUTS", ("map", "scale", "unused"))
    with pytest.raises(ValueError, match=r"TinyNetwork: \['map'\] name inputs and outputs"):
        export_onnx(network, tmp_path / "tiny.onnx")


def test_what_a_network_of_hands_says_of_itself(hand_model):
    about = small_network(hand_model).description()
    assert about["preset"] == "custom"
    assert about["hand_model"] == hand_model.digest
    assert json.loads(about["config"])["channels"] == 16


def test_sizes_are_constants_in_the_file(hand_model, tmp_path):
    """Hundreds of nodes that compute shapes cost about as much as a graph layer; only the batch is left to them."""
    network = small_network(hand_model)
    export_onnx(network, tmp_path / "hands.onnx", network.example_inputs(64))
    nodes = onnx.load(tmp_path / "hands.onnx").graph.node
    assert sum(node.op_type == "Shape" for node in nodes) < 50
    assert len(nodes) > 1000


def test_the_digest_follows_class_description_weights_and_statistics(network):
    class Other(TinyNetwork):
        pass

    digests = [network_digest(made) for made in (network, Other(about="a test"), TinyNetwork(about="another"))]
    assert network_digest(TinyNetwork(about="a test")) == digests[0]
    with torch.no_grad():
        network.conv.weight[0, 0, 0, 0] += 1e-3
    digests.append(network_digest(network))
    network.norm.running_mean[0] += 1
    digests.append(network_digest(network))
    assert len(set(digests)) == 5


def test_the_digest_follows_the_hand_model(hand_model):
    network = small_network(copy.deepcopy(hand_model))
    before = network_digest(network)
    network.hand_model.v_template[0, 0, 0] += 1e-3
    assert network_digest(network) != before


def test_an_entry_is_exported_once(network, exports):
    paths = {cached_onnx(network), cached_onnx(network)}
    assert exports == list(paths)
    assert cached_onnx(network, TinyNetwork(16).example_inputs()) not in paths
    assert cached_onnx(network, rebuild=True) in paths
    assert len(exports) == 3


def test_beyond_its_size_the_cache_forgets_what_was_not_used_for_longest(network, exports, monkeypatch):
    kept = cached_onnx(network)
    others = [kept.with_name(f"other-{k}.onnx") for k in range(3)]
    for age, path in enumerate([*others, kept]):
        path.write_bytes(b"network")
        path.with_suffix(".sha256").touch()
        os.utime(path, (1000 - age, 1000 - age))  # the one in use is the oldest
    kept.with_suffix(".sha256").write_text(hashlib.sha256(b"network").hexdigest())
    assert cached_onnx(network) == kept
    monkeypatch.setattr(export, "CACHE_BYTES", 2 * len(b"network"))
    newest = cached_onnx(TinyNetwork(about="newer"))
    assert set(kept.parent.glob("*.onnx")) == {kept, newest}
    assert set(kept.parent.glob("*.sha256")) == {kept.with_suffix(".sha256"), newest.with_suffix(".sha256")}


def test_an_entry_larger_than_the_cache_is_kept_while_it_is_the_newest(network, exports, monkeypatch):
    monkeypatch.setattr(export, "CACHE_BYTES", 1)
    first = cached_onnx(network)
    assert first.exists()
    assert cached_onnx(TinyNetwork(about="newer")).exists()
    assert not first.exists()


def test_a_damaged_entry_is_rebuilt(network, exports):
    path = cached_onnx(network)
    path.write_bytes(b"netw")
    assert cached_onnx(network).read_bytes() == b"network"
    path.with_suffix(".sha256").write_bytes(b"\xff")
    cached_onnx(network)
    assert len(exports) == 3


def test_where_the_cache_cannot_be_written_a_temporary_file_serves(network, exports, monkeypatch, tmp_path, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    with caplog.at_level(logging.WARNING):
        first, again = cached_onnx(network), cached_onnx(network)
    assert first == again
    assert first.is_file()
    assert len(exports) == 1
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert CACHE_VARIABLE in warning.getMessage()


def test_the_cache_follows_the_platforms_rules(monkeypatch, tmp_path):
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "lgnet_ros"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_directory() == tmp_path / "home" / ".cache" / "lgnet_ros"
