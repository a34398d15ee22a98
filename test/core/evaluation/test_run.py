"""The whole evaluation of a weights file: what it writes, and where its figures say they are from."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import pytest

from lgnet_core.evaluation.report import Report
from lgnet_core.evaluation.run import run_evaluation
from lgnet_core.evaluation.sets import Choice
from lgnet_core.network.checkpoint import weights_digest
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.stored import write_shards


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("eval") / "a" / "b"


@pytest.fixture(scope="module")
def report(out) -> Report:
    """Of the bundled weights on eight images of the frozen set."""
    return run_evaluation(out, Choice(), count=8, device="cpu", batch_size=3)


def test_writes_what_it_says(report, out):
    document = json.loads((out / "figures.json").read_text())
    assert document["categories"]["all"]["images"] == 8
    with (out / "figures.csv").open() as file:
        assert {row["category"] for row in csv.DictReader(file)} == set(document["categories"])
    for name in ("pck.png", "reliability.png", "predictions.png", "worst.png"):
        assert cv2.imread(str(out / name)) is not None


def test_figures_say_where_they_are_from(report, out):
    told = json.loads((out / "figures.json").read_text())["provenance"]
    assert told["weights"]["sha256"] == weights_digest()
    assert told["weights"]["metadata"]["preset"] == "lgnet-hand"
    assert told["size"] == 256  # the set's own: crops of each hand are cut from its images, whatever training's were
    assert {"seed", "generator_version", "digest"} <= set(told["data"]["metadata"])
    assert (told["data"]["evaluated"], told["data"]["of"]) == (8, 2000)
    assert {"commit", "command", "time", "processor", "torch"} <= set(told["machine"])
    assert report.weights == "bundled"
    assert "8 images" in report.data


def test_the_bundled_weights_have_skill(report):
    """Far from good, but they see something."""
    values = report.figures()["mpjpe_mm/wrist-raw"]
    assert values["weights"] < 0.7 * values["mean_pose"]
    assert values["skill_over_mean_pose"] > 0.3


def test_a_stored_set(hand_model, tmp_path):
    folder = write_shards(tmp_path / "set", SyntheticHands(3, hand_model), 4, 64, progress=False)
    report = run_evaluation(tmp_path / "out", Choice(str(folder)), device="cpu")
    assert report.results["all"].images == 4
    assert str(folder) in report.data
    assert report.provenance["data"]["metadata"]["seed"] == 3
