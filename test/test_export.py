"""The ONNX file and its cache."""

import json
import logging
import os

import onnx
import pytest
import torch
from small_network import small_network

from lgnet_core import __version__, export
from lgnet_core.cache import CACHE_VARIABLE, cache_directory
from lgnet_core.export import cached_onnx, export_onnx, network_digest, preset_name
from lgnet_core.network import HandsPrediction, build_network, find_config


@pytest.fixture(scope="module")
def network(hand_model):
    return small_network(hand_model)


@pytest.fixture
def exports(monkeypatch, tmp_path) -> list:
    """The cache in a folder of its own, and a quick export that counts its calls."""
    calls: list = []

    def quick(network, path, size):
        calls.append(path)
        path.write_bytes(b"network")

    monkeypatch.setattr(export, "export_onnx", quick)
    monkeypatch.setattr(export, "_temporary", None)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return calls


def test_the_file_describes_itself(network, tmp_path):
    network.train()
    export_onnx(network, tmp_path / "hands.onnx", size=64)
    assert network.training  # the caller's network is left as it was
    network.eval()
    model = onnx.load(tmp_path / "hands.onnx")
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert about["version"] == __version__
    assert about["weights"] == network_digest(network)
    assert about["hand_model"] == network.hand_model.digest
    assert about["image_size"] == "64"
    assert json.loads(about["config"])["channels"] == 16
    assert [value.name for value in model.graph.input] == ["image", "intrinsics"]
    assert tuple(value.name for value in model.graph.output) == HandsPrediction._fields
    assert os.listdir(tmp_path) == ["hands.onnx"]  # nothing half written is left


def test_sizes_are_constants_in_the_file(network, tmp_path):
    """Hundreds of nodes that compute shapes cost about as much as a graph layer; only the batch is left to them."""
    export_onnx(network, tmp_path / "hands.onnx", size=64)
    nodes = onnx.load(tmp_path / "hands.onnx").graph.node
    assert sum(node.op_type == "Shape" for node in nodes) < 50
    assert len(nodes) > 1000


def test_presets_are_known_by_name(hand_model, network):
    assert preset_name(network) == "custom"
    assert preset_name(build_network("lgnet-mini", hand_model)) == "lgnet-mini"
    assert preset_name(build_network(find_config("lgnet-mini-paper"), hand_model)) == "lgnet-mini-paper"


def test_the_digest_follows_weights_statistics_and_hand_model(hand_model):
    network = small_network(hand_model)
    digests = {network_digest(network), network_digest(small_network(hand_model))}
    assert len(digests) == 1
    with torch.no_grad():
        next(network.parameters()).view(-1)[0] += 1e-3
    digests.add(network_digest(network))
    next(b for name, b in network.named_buffers() if name.endswith("running_mean"))[0] += 1
    digests.add(network_digest(network))
    network.hand_model.v_template[0, 0, 0] += 1e-3
    digests.add(network_digest(network))
    network.hand_model.v_template[0, 0, 0] -= 1e-3
    assert len(digests) == 4


def test_an_entry_is_exported_once(network, exports):
    paths = {cached_onnx(network, 64), cached_onnx(network, 64)}
    assert exports == list(paths)
    assert cached_onnx(network, 128) not in paths
    assert cached_onnx(network, 64, rebuild=True) in paths
    assert len(exports) == 3


def test_of_many_entries_the_least_used_are_forgotten(network, exports, monkeypatch):
    kept = cached_onnx(network, 64)
    others = [kept.with_name(f"other-{k}.onnx") for k in range(3)]
    for age, path in enumerate([*others, kept]):
        path.touch()
        path.with_suffix(".sha256").touch()
        os.utime(path, (1000 - age, 1000 - age))  # the one in use is the oldest
    assert cached_onnx(network, 64) == kept
    monkeypatch.setattr(export, "CACHE_ENTRIES", 2)
    newest = cached_onnx(network, 96)
    assert set(kept.parent.glob("*.onnx")) == {kept, newest}
    assert set(kept.parent.glob("*.sha256")) == {kept.with_suffix(".sha256"), newest.with_suffix(".sha256")}


def test_a_damaged_entry_is_rebuilt(network, exports):
    path = cached_onnx(network, 64)
    path.write_bytes(b"netw")
    assert cached_onnx(network, 64).read_bytes() == b"network"
    path.with_suffix(".sha256").write_bytes(b"\xff")
    cached_onnx(network, 64)
    assert len(exports) == 3


def test_where_the_cache_cannot_be_written_a_temporary_file_serves(network, exports, monkeypatch, tmp_path, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    with caplog.at_level(logging.WARNING):
        first, again = cached_onnx(network, 64), cached_onnx(network, 64)
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
