"""Complete evaluation of a weights file: output files and provenance."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import pytest

from lgnet_core.evaluation.datasets.factory import DatasetConfig
from lgnet_core.evaluation.report.report import EvaluationReport
from lgnet_core.evaluation.run import run_evaluation
from lgnet_core.io.checkpoint_files import weights_digest
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.stored import write_shards


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("eval") / "a" / "b"


@pytest.fixture(scope="module")
def report(out) -> EvaluationReport:
    """Bundled weights on eight images of the held-out set."""
    return run_evaluation(out, DatasetConfig(), count=8, device="cpu", batch_size=3)


def test_output_files(report, out):
    document = json.loads((out / "figures.json").read_text())
    assert document["categories"]["all"]["images"] == 8
    with (out / "figures.csv").open() as file:
        assert {row["category"] for row in csv.DictReader(file)} == set(document["categories"])
    for name in ("pck.png", "reliability.png", "predictions.png", "worst.png"):
        assert cv2.imread(str(out / name)) is not None


def test_provenance(report, out):
    provenance = json.loads((out / "figures.json").read_text())["provenance"]
    assert provenance["weights"]["sha256"] == weights_digest()
    assert provenance["weights"]["metadata"]["preset"] == "lgnet-hand"
    assert provenance["size"] == 256  # of the data set: per-hand crops are cut from its images at their own size
    assert {"seed", "generator_version", "digest"} <= set(provenance["data"]["metadata"])
    assert (provenance["data"]["evaluated"], provenance["data"]["total"]) == (8, 2000)
    assert {"commit", "command", "time", "processor", "torch"} <= set(provenance["machine"])
    assert report.weights == "bundled"
    assert "8 images" in report.data


def test_bundled_weights_have_skill(report):
    """Clearly better than the mean pose."""
    values = report.metrics()["mpjpe_mm/wrist-raw"]
    assert values["weights"] < 0.7 * values["mean_pose"]
    assert values["skill_over_mean_pose"] > 0.3


def test_stored_data_set(hand_model, tmp_path):
    folder = write_shards(tmp_path / "set", SyntheticHands(3, hand_model), 4, 64, progress=False)
    report = run_evaluation(tmp_path / "out", DatasetConfig(str(folder)), device="cpu")
    assert report.results["all"].images == 4
    assert str(folder) in report.data
    assert report.provenance["data"]["metadata"]["seed"] == 3
