"""``lgnet eval`` of whole programs: a stub judged on images of each kind that is quick; the report says on what."""

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
from lgnet_core.evaluation.end_to_end import run_programs as module
from lgnet_core.evaluation.end_to_end.run_programs import FULL_IMAGES, FullImages, run_programs
from lgnet_core.network.checkpoint import weights_digest


class Stub(StubEstimator):
    engines: ClassVar[dict[str, object]] = {}


@pytest.fixture
def real_set(tmp_path):
    """One image of one hand, which the stub sees in its middle."""
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.full((240, 320, 3), 90, np.uint8))
    row = {"file": "a.png", "width": 320, "height": 240, "source": "asl", "split": "train", "boxes": None}
    (tmp_path / "index.json").write_text(json.dumps([row]))
    return tmp_path


def test_real_images(real_set, tmp_path):
    report = run_programs(tmp_path / "out", FullImages("realhands", real_set, "train"), Stub())
    document = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert document["figures"] == report.figures
    assert report.figures["asl"]["images with one hand"] == {"lgnet": 1}
    assert report.notes == ["MediaPipe is not installed here; judge it beside with --mediapipe PYTHON"]
    assert document["data"] == "realhands, train"
    assert document["provenance"]["weights"]["sha256"] == weights_digest()
    assert document["provenance"]["choice"]["split"] == "train"
    assert {"commit", "command", "time", "processor"} <= set(document["provenance"]["machine"])
    assert (tmp_path / "out" / "asl.png").exists()


def test_synthetic_images(tmp_path):
    """The stub's hand is in the middle of both; the same seed gives the same figures."""
    choice = FullImages("synthetic-full", seed=5, count=2)
    first, second = (run_programs(tmp_path, choice, Stub()).figures for _ in range(2))
    assert json.dumps(first) == json.dumps(second)
    assert first["synthetic-full"]["hands, all"]["lgnet"] >= 1


def test_the_clip(tmp_path, monkeypatch):
    """Three frames with two hands each, of which the stub sees one."""

    class Tracker:
        def __init__(self, estimator):
            self.estimator = estimator

        def update(self, image, camera, stamp_ns):
            hands = self.estimator.estimate(image, camera)
            return replace(hands, left=replace(hands.left, track_id=1))

    monkeypatch.setattr(module, "read_clip", lambda: small_clip(3))
    monkeypatch.setattr(module, "HandTracker", Tracker)
    monkeypatch.setattr(module, "latencies", lambda estimator, clip, name, python: {name: {"p50, ms": 1.0}})
    report = run_programs(tmp_path, FullImages("clip", beside=1), Stub())
    assert report.figures["demo clip"]["hands"] == {"lgnet": 6, "lgnet, followed": 6}
    assert report.figures["demo clip"]["hands found"] == {"lgnet": 3, "lgnet, followed": 3}
    assert list(report.figures) == ["demo clip", "latency", "latency beside 1 busy processes"]


@pytest.mark.parametrize("data", ["realhands", "testdata"])
def test_a_folder_is_needed(tmp_path, data):
    with pytest.raises(ValueError, match=f"--data {data}: name the folder of the images with --root"):
        run_programs(tmp_path, FullImages(data), Stub())


def test_the_command(real_set, tmp_path, monkeypatch):
    monkeypatch.setattr("lgnet_core.inference.HandEstimator.load", lambda *_: Stub())
    options = ["--data", "realhands", "--root", str(real_set), "--split", "train", "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(app, ["eval", *options], catch_exceptions=False)
    assert done.exit_code == 0
    assert "images with one hand" in done.output
    assert "note: MediaPipe is not installed here" in done.output
    assert set(FULL_IMAGES) == {"realhands", "synthetic-full", "clip", "testdata", "jitter"}
