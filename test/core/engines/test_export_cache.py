"""Cache of exported ONNX files."""

import hashlib
import logging
import os

import pytest
from support.imports import imports_of
from support.paths import ROOT
from support.tiny_network import TinyNetwork

from lgnet_core.engines import export_cache
from lgnet_core.engines.export_cache import EXPORTED_SOURCES, cached_onnx
from lgnet_core.io.cache import CACHE_VARIABLE


@pytest.fixture
def network():
    return TinyNetwork(about="a test").eval()


@pytest.fixture
def exports(monkeypatch, tmp_path) -> list:
    """Use a temporary cache folder and a fake export; returns the list of its calls."""
    calls: list = []

    def fake_export(network, path, inputs):
        calls.append(path)
        path.write_bytes(b"network")

    monkeypatch.setattr(export_cache, "export_onnx", fake_export)
    monkeypatch.setattr(export_cache, "_temporary", None)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return calls


def test_network_is_exported_only_once(network, exports):
    paths = {cached_onnx(network), cached_onnx(network)}
    assert exports == list(paths)
    assert cached_onnx(network, TinyNetwork(16).example_inputs()) not in paths
    assert cached_onnx(network, rebuild=True) in paths
    assert len(exports) == 3


def test_least_recently_used_entries_are_evicted(network, exports, monkeypatch):
    kept = cached_onnx(network)
    others = [kept.with_name(f"other-{k}.onnx") for k in range(3)]
    for age, path in enumerate([*others, kept]):
        path.write_bytes(b"network")
        path.with_suffix(".sha256").touch()
        os.utime(path, (1000 - age, 1000 - age))  # the used one is the oldest
    kept.with_suffix(".sha256").write_text(hashlib.sha256(b"network").hexdigest())
    assert cached_onnx(network) == kept
    monkeypatch.setattr(export_cache, "MAX_CACHE_BYTES", 2 * len(b"network"))
    newest = cached_onnx(TinyNetwork(about="newer"))
    assert set(kept.parent.glob("*.onnx")) == {kept, newest}
    assert set(kept.parent.glob("*.sha256")) == {kept.with_suffix(".sha256"), newest.with_suffix(".sha256")}


def test_newest_entry_is_kept_even_if_larger_than_the_cache(network, exports, monkeypatch):
    monkeypatch.setattr(export_cache, "MAX_CACHE_BYTES", 1)
    first = cached_onnx(network)
    assert first.exists()
    assert cached_onnx(TinyNetwork(about="newer")).exists()
    assert not first.exists()


def test_damaged_entry_is_exported_again(network, exports):
    path = cached_onnx(network)
    path.write_bytes(b"netw")
    assert cached_onnx(network).read_bytes() == b"network"
    path.with_suffix(".sha256").write_bytes(b"\xff")
    cached_onnx(network)
    assert len(exports) == 3


def test_temporary_file_is_used_if_the_cache_is_not_writable(network, exports, monkeypatch, tmp_path, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    with caplog.at_level(logging.WARNING):
        first, again = cached_onnx(network), cached_onnx(network)
    assert first == again
    assert first.is_file()
    assert len(exports) == 1
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert CACHE_VARIABLE in warning.getMessage()


def test_cache_key_covers_the_code_of_networks():
    """Every package that networks use is hashed, so that no change of it leaves outdated entries in use.

    ``io`` only reads weights files.
    """
    hashed = {name.split("/")[0].removesuffix(".py") for name in EXPORTED_SOURCES}
    for path in (ROOT / "lgnet_core" / "network").rglob("*.py"):
        imported = {name.split(".")[1] for name in imports_of(path) if name.startswith("lgnet_core.")}
        assert imported <= hashed | {"io", "__version__"}, path
