"""Each problem is found and comes with its cure; nothing that is wrong breaks the report itself."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from support.small_network import small_network
from support.stubs import save_untrained_network

from lgnet_core.commands import check
from lgnet_core.commands.check import Level
from lgnet_core.inference import HandEstimator
from lgnet_core.network.checkpoint import save_network


def test_old_python(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 0))
    finding = check.check_python()
    assert finding.level is Level.PROBLEM
    assert "3.10" in finding.cure


@pytest.mark.parametrize(
    ("version", "level"), [("2.6.0", Level.OK), ("2.13.0+cpu", Level.OK), ("2.5.1", Level.PROBLEM)]
)
def test_torch_range(monkeypatch, version, level):
    import torch

    monkeypatch.setattr(torch, "__version__", version)
    assert check.check_torch().level is level


def test_missing_and_broken_packages(monkeypatch, tmp_path):
    missing = check.check_package("no_such_module", "the-package")
    assert (missing.level, missing.cure) == (Level.PROBLEM, "pip install --upgrade the-package")
    (tmp_path / "broken_module.py").write_text("raise AttributeError('half installed')")
    monkeypatch.syspath_prepend(tmp_path)
    broken = check.check_package("broken_module", "p")
    assert broken.level is Level.PROBLEM
    assert "half installed" in broken.detail
    optional = check.check_optional("no_such_module", "the-package", "the work")
    assert (optional.level, optional.cure) == (Level.NOTE, "pip install the-package")


def test_hand_model(tmp_path):
    assert check.check_hand_model(None).level is Level.OK
    findings = {f.subject: f for f in check.run_checks(hand_model=tmp_path / "nowhere")}
    assert findings["hand model"].level is Level.PROBLEM
    assert "nowhere" in findings["hand model"].detail
    assert findings["hand model"].cure
    assert "one estimate" not in findings  # no use in trying


def test_wrong_weights(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"nonsense")
    findings = {f.subject: f for f in check.run_checks(weights=tmp_path / "w.safetensors")}
    assert findings["weights"].level is Level.PROBLEM
    assert "w.safetensors" in findings["weights"].detail
    assert findings["weights"].cure


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({}, "small (PATH), "),
        ({"steps": 700}, "small (PATH), 700 steps in its last phase, "),
        (
            {"steps": 20, "mean of": [{"steps": 20}, {"steps": 14}]},
            "small (PATH), the mean of 2 trainings whose last phases had 20, 14 steps, ",
        ),
    ],
)
def test_weights_are_told_as_their_last_phase(tmp_path, hand_model, about, told):
    """What came before stands in no metadata."""
    path = tmp_path / "w.safetensors"
    save_network(path, small_network(hand_model), {"preset": "small", **about})
    assert check.check_weights(path).detail.startswith(told.replace("PATH", str(path)))


def test_unknown_device():
    findings = {f.subject: f for f in check.run_checks(device="abacus")}
    assert findings["device"].level is Level.PROBLEM
    assert "take one of" in findings["device"].cure


def test_cache_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LGNET_CACHE_DIR", str(tmp_path / "file" / "cache"))
    finding = check.check_cache()
    assert finding.level is Level.NOTE
    assert "LGNET_CACHE_DIR" in finding.cure


def test_networks_that_find_hands(monkeypatch, tmp_path):
    from lgnet_core.network import pretrained

    assert check.check_detectors().level is Level.OK
    monkeypatch.setattr(pretrained, "WEIGHTS_FOLDER", tmp_path)
    findings = {f.subject: f for f in check.run_checks()}
    assert findings["hand finders"].level is Level.PROBLEM
    assert "palm_detector.safetensors" in findings["hand finders"].detail
    assert findings["hand finders"].cure
    assert "one estimate" not in findings


def test_a_network_that_does_not_run_is_found(monkeypatch, tmp_path):
    def broken(*_):
        raise RuntimeError("no kernel image is available")

    monkeypatch.setenv("LGNET_CACHE_DIR", str(tmp_path))
    load = HandEstimator.load  # with the engine that starts at once
    monkeypatch.setattr(HandEstimator, "load", lambda *arguments: load(*arguments, engine="eager"))
    monkeypatch.setattr("lgnet_core.engines.eager.EagerEngine.__call__", broken)
    weights = save_untrained_network(tmp_path / "w.safetensors")
    findings = {f.subject: f for f in check.run_checks(weights=weights, device="cpu")}
    assert findings["one estimate"].level is Level.PROBLEM
    assert "no kernel image" in findings["one estimate"].detail


def test_all_is_well(monkeypatch, tmp_path):
    monkeypatch.setenv("LGNET_CACHE_DIR", str(tmp_path))
    load = HandEstimator.load  # with the engine that starts at once
    monkeypatch.setattr(HandEstimator, "load", lambda *arguments: load(*arguments, engine="eager"))
    findings = check.run_checks(weights=save_untrained_network(tmp_path / "w.safetensors"), device="cpu")
    assert [f for f in findings if f.level is Level.PROBLEM] == []
    assert findings[-1].subject == "one estimate"
    assert "hands found: right and left" in findings[-1].detail
    assert "landmarks: eager on cpu" in findings[-1].detail
    assert np.unique([f.subject for f in findings]).size == len(findings)
