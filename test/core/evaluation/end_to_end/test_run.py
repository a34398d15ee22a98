"""End-to-end evaluation of a stub on every data set that is quick, and its report."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import ClassVar

import cv2
import numpy as np
import pytest
from support.small_clip import small_clip
from support.stubs import StubEstimator
from typer.testing import CliRunner

from lgnet_core.cli.app import app
from lgnet_core.evaluation.end_to_end import run as module
from lgnet_core.evaluation.end_to_end.run import END_TO_END_DATASETS, EndToEndConfig, run_end_to_end
from lgnet_core.io.checkpoint_files import weights_digest


class StubWithoutEngines(StubEstimator):
    engines: ClassVar[dict[str, object]] = {}


@pytest.fixture
def real_set(tmp_path):
    """A data set of one image of one hand, which the stub reports at its centre."""
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.full((240, 320, 3), 90, np.uint8))
    row = {"file": "a.png", "width": 320, "height": 240, "source": "asl", "split": "train", "boxes": None}
    (tmp_path / "index.json").write_text(json.dumps([row]))
    return tmp_path


def test_realhands(real_set, tmp_path):
    report = run_end_to_end(tmp_path / "out", EndToEndConfig("realhands", real_set, "train"), StubWithoutEngines())
    document = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert document["figures"] == report.metrics
    assert report.metrics["asl"]["images with one hand"] == {"lgnet": 1}
    assert report.notes == ["MediaPipe is not installed; evaluate it too with --mediapipe PYTHON"]
    assert document["data"] == "realhands, train"
    assert document["provenance"]["weights"]["sha256"] == weights_digest()
    assert document["provenance"]["config"]["split"] == "train"
    assert {"commit", "command", "time", "processor"} <= set(document["provenance"]["machine"])
    assert (tmp_path / "out" / "asl.png").exists()


def test_synthetic_full(tmp_path):
    """The same seed gives the same metrics."""
    config = EndToEndConfig("synthetic-full", seed=5, count=2)
    first, second = (run_end_to_end(tmp_path, config, StubWithoutEngines()).metrics for _ in range(2))
    assert json.dumps(first) == json.dumps(second)
    assert first["synthetic-full"]["hands, all"]["lgnet"] >= 1


def test_clip(tmp_path, monkeypatch):
    """Three frames with two hands each, of which the stub reports one."""

    class Tracker:
        def __init__(self, estimator):
            self.estimator = estimator

        def update(self, image, camera, stamp_ns):
            hands = self.estimator.estimate(image, camera)
            return replace(hands, left=replace(hands.left, track_id=1))

    monkeypatch.setattr(module, "read_clip", lambda: small_clip(3))
    monkeypatch.setattr(module, "HandTracker", Tracker)
    monkeypatch.setattr(module, "measure_latencies", lambda estimator, clip, name, python: {name: {"p50, ms": 1.0}})
    report = run_end_to_end(tmp_path, EndToEndConfig("clip", background_processes=1), StubWithoutEngines())
    assert report.metrics["demo clip"]["hands"] == {"lgnet": 6, "lgnet, tracked": 6}
    assert report.metrics["demo clip"]["hands found"] == {"lgnet": 3, "lgnet, tracked": 3}
    assert list(report.metrics) == ["demo clip", "latency", "latency with 1 background processes"]


@pytest.mark.parametrize("data", ["realhands", "testdata"])
def test_root_is_required(tmp_path, data):
    with pytest.raises(ValueError, match=f"--data {data}: pass the folder of the images with --root"):
        run_end_to_end(tmp_path, EndToEndConfig(data), StubWithoutEngines())


def test_command(real_set, tmp_path, monkeypatch):
    monkeypatch.setattr("lgnet_core.inference.HandEstimator.load", lambda *_, **options: StubWithoutEngines())
    options = ["--data", "realhands", "--root", str(real_set), "--split", "train", "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(app, ["eval", *options], catch_exceptions=False)
    assert done.exit_code == 0
    assert "images with one hand" in done.output
    assert "note: MediaPipe is not installed" in done.output
    assert set(END_TO_END_DATASETS) == {"realhands", "synthetic-full", "palms", "clip", "testdata", "jitter", "depth"}
