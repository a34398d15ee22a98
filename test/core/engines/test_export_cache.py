"""Cache of exported ONNX files."""

import hashlib
import logging
import os
import shutil
from pathlib import Path

import pytest
from support.disks import file_size_limit, forget_home
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

    def fake_export(network, inputs) -> bytes:
        calls.append(network)
        return b"network"

    monkeypatch.setattr(export_cache, "onnx_content", fake_export)
    monkeypatch.setattr(export_cache, "_unsaved", {})
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return calls


def test_network_is_exported_only_once(network, exports):
    paths = {cached_onnx(network), cached_onnx(network)}
    assert len(exports) == len(paths) == 1
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


def file_in_place_of_a_folder(cache: Path, entry: Path) -> None:
    cache.touch()


def folder_in_place_of_the_file(cache: Path, entry: Path) -> None:
    entry.mkdir(parents=True)


def folder_in_place_of_the_checksum(cache: Path, entry: Path) -> None:
    entry.with_suffix(".sha256").mkdir(parents=True)


@pytest.mark.parametrize(
    "obstacle", [file_in_place_of_a_folder, folder_in_place_of_the_file, folder_in_place_of_the_checksum]
)
def test_export_is_kept_in_memory_if_the_cache_cannot_be_written(
    network, exports, monkeypatch, tmp_path, caplog, obstacle
):
    entry = cached_onnx(network)
    shutil.rmtree(tmp_path / "cache")
    obstacle(tmp_path / "cache", entry)
    with caplog.at_level(logging.WARNING):
        assert [cached_onnx(network), cached_onnx(network)] == [b"network"] * 2
        assert cached_onnx(TinyNetwork(about="newer")) is not None
    assert len(exports) == 3
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.startswith(f"{entry}: cannot be written (")
    assert "Errno" not in warning
    assert CACHE_VARIABLE in warning
    assert not entry.is_file()


def test_export_is_kept_in_memory_on_a_full_disk(network, exports, tmp_path, caplog):
    """The limit stands in for a full disk: the file can be created and not be written."""
    with file_size_limit(3):
        assert cached_onnx(network) == b"network"
    assert str(tmp_path / "cache") in caplog.text
    assert not list((tmp_path / "cache").iterdir())


def test_export_is_kept_in_memory_without_a_home_folder(network, exports, monkeypatch, caplog):
    monkeypatch.delenv(CACHE_VARIABLE)
    forget_home(monkeypatch)
    assert cached_onnx(network) == b"network"
    assert "there is no home folder" in caplog.text


def test_cache_key_covers_the_code_of_networks():
    """Every package that networks use is hashed, so that no change of it leaves outdated entries in use.

    ``io`` only reads weights files.
    """
    hashed = {name.split("/")[0].removesuffix(".py") for name in EXPORTED_SOURCES}
    for path in (ROOT / "lgnet_core" / "network").rglob("*.py"):
        imported = {name.split(".")[1] for name in imports_of(path) if name.startswith("lgnet_core.")}
        assert imported <= hashed | {"io", "__version__"}, path
