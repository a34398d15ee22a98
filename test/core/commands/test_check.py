"""Every problem of an installation is found, comes with its remedy, and never breaks the report itself."""

from __future__ import annotations

import importlib.metadata
import sys

import numpy as np
import pytest
from support.disks import file_size_limit, forget_home
from support.small_network import small_network
from support.stubs import save_untrained_network

from lgnet_core.commands import check
from lgnet_core.commands.check import Level
from lgnet_core.inference import HandEstimator
from lgnet_core.io import checkpoint_files
from lgnet_core.network.checkpoint import save_network


def files(**options) -> dict[str, check.Finding]:
    return {finding.subject: finding for finding in check.check_files(**options)}


def runtime(**options) -> dict[str, check.Finding]:
    return {finding.subject: finding for finding in check.check_runtime(**options)}


def test_old_python(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 0))
    finding = check.check_python()
    assert finding.level is Level.PROBLEM
    assert "3.10" in finding.remedy


@pytest.mark.parametrize(
    ("version", "level"), [("2.6.0", Level.OK), ("2.13.0+cpu", Level.OK), ("2.5.1", Level.PROBLEM)]
)
def test_torch_range(monkeypatch, version, level):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    assert check.check_torch_version().level is level


def test_missing_and_broken_packages(monkeypatch, tmp_path):
    missing = check.check_installed("no_such_module", "the-package")
    assert (missing.level, missing.remedy) == (Level.PROBLEM, "pip install --upgrade the-package")
    optional = check.check_optional("no_such_module", "the-package", "the work")
    assert (optional.level, optional.remedy) == (Level.NOTE, "pip install the-package")
    (tmp_path / "broken_module.py").write_text("raise AttributeError('half installed')")
    monkeypatch.syspath_prepend(tmp_path)
    broken = check.check_import("broken_module", "p")
    assert broken.level is Level.PROBLEM
    assert "half installed" in broken.detail


def test_versions_are_those_of_the_distributions():
    findings = files()
    assert findings["numpy"].detail == np.__version__
    assert findings["cv2"].detail == importlib.metadata.version("opencv-python-headless")


def test_missing_hand_model(tmp_path):
    assert files()["hand model"].level is Level.OK
    finding = files(hand_model=tmp_path / "nowhere")["hand model"]
    assert finding.level is Level.PROBLEM
    assert "nowhere" in finding.detail
    assert finding.remedy


def test_damaged_weights(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"nonsense")
    finding = files(weights=tmp_path / "w.safetensors")["weights"]
    assert finding.level is Level.PROBLEM
    assert "w.safetensors" in finding.detail
    assert finding.remedy


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, "small (PATH), "),
        ({"steps": 700}, "small (PATH), 700 steps in the last training phase, "),
        (
            {"steps": 20, "mean of": [{"steps": 20}, {"steps": 14}]},
            "small (PATH), mean of 2 trainings with 20, 14 steps in their last phases, ",
        ),
    ],
)
def test_weights_are_described_by_their_last_training_phase(tmp_path, hand_model, metadata, expected):
    path = tmp_path / "w.safetensors"
    save_network(path, small_network(hand_model), {"preset": "small", **metadata})
    assert check.check_weights(path).detail.startswith(expected.replace("PATH", str(path)))


def test_missing_palm_detector(monkeypatch, tmp_path):
    assert check.check_palm_detector_file().level is Level.OK
    monkeypatch.setattr(checkpoint_files, "WEIGHTS_FOLDER", tmp_path)
    finding = files(weights=save_untrained_network(tmp_path / "w.safetensors"))["palm detector"]
    assert finding.level is Level.PROBLEM
    assert "palm_detector.safetensors" in finding.detail
    assert finding.remedy


def test_read_only_cache(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LGNET_CACHE_DIR", str(tmp_path / "file" / "cache"))
    finding = check.check_cache()
    assert finding.level is Level.NOTE
    assert "LGNET_CACHE_DIR" in finding.remedy


def test_full_disk_is_not_reported_as_a_usable_cache(monkeypatch, tmp_path):
    """Nor as a usable folder for temporary files: empty files can be created there."""
    monkeypatch.setenv("LGNET_CACHE_DIR", str(tmp_path))
    assert check.check_cache().level is Level.OK
    with file_size_limit(1 << 10):
        findings = [check.check_cache(), check.check_temporary_files()]
    assert [finding.level for finding in findings] == [Level.NOTE, Level.NOTE]
    assert str(tmp_path) in findings[0].detail
    assert all("Errno" not in finding.detail and "MB of room" in finding.remedy for finding in findings)


def test_folder_in_the_place_of_a_cached_file_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("LGNET_CACHE_DIR", str(tmp_path))
    (tmp_path / "network.onnx").mkdir()
    assert str(tmp_path / "network.onnx") in check.check_cache().detail


def test_missing_home_folder_is_named(monkeypatch):
    monkeypatch.delenv("LGNET_CACHE_DIR", raising=False)
    forget_home(monkeypatch)
    finding = check.check_cache()
    assert finding.level is Level.NOTE
    assert "no home folder" in finding.detail


def test_unknown_device():
    findings = runtime(device="abacus")
    assert findings["device"].level is Level.PROBLEM
    assert "choose one of" in findings["device"].remedy
    assert "estimate" not in findings  # pointless after a problem


def test_a_network_that_does_not_run(monkeypatch, tmp_path):
    def broken(*_):
        raise RuntimeError("no kernel image is available")

    monkeypatch.setenv("LGNET_CACHE_DIR", str(tmp_path))
    load = HandEstimator.load  # with the engine that starts fastest
    monkeypatch.setattr(HandEstimator, "load", lambda *arguments: load(*arguments, engine="eager"))
    monkeypatch.setattr("lgnet_core.engines.eager.EagerEngine.__call__", broken)
    findings = runtime(weights=save_untrained_network(tmp_path / "w.safetensors"), device="cpu")
    assert findings["estimate"].level is Level.PROBLEM
    assert "no kernel image" in findings["estimate"].detail


def test_a_sound_installation(monkeypatch, tmp_path):
    monkeypatch.setenv("LGNET_CACHE_DIR", str(tmp_path))
    load = HandEstimator.load  # with the engine that starts fastest
    monkeypatch.setattr(HandEstimator, "load", lambda *arguments: load(*arguments, engine="eager"))
    weights = save_untrained_network(tmp_path / "w.safetensors")
    findings = [*check.check_files(weights), *check.check_runtime(weights, device="cpu")]
    assert [finding for finding in findings if finding.level is Level.PROBLEM] == []
    assert findings[-1].subject == "estimate"
    assert "hands found: right and left" in findings[-1].detail
    assert "landmarks: eager on cpu" in findings[-1].detail
    assert len({finding.subject for finding in findings}) == len(findings)
