"""Table, JSON and CSV contain the same metrics; missing values are marked."""

from __future__ import annotations

import csv
import json
import math
from io import StringIO

import pytest
from rich.console import Console
from support.oracle_network import OracleNetwork, SmallDataset

from lgnet_core.evaluation.evaluate import ALL, evaluate
from lgnet_core.evaluation.report.report import CSV_FIELDS, NEAREST, EvaluationReport
from lgnet_core.evaluation.scores import METRICS, PROTOCOL_DESCRIPTIONS, MetricKey


@pytest.fixture(scope="module")
def report(hand_model) -> EvaluationReport:
    images = SmallDataset(hand_model, count=16)
    network = OracleNetwork(images, hand_model, lambda predicted: predicted._replace(joints=1.1 * predicted.joints))
    return EvaluationReport(
        evaluate(network, images, 64), "a small set (16 images)", "w.safetensors", {"why": "a test"}
    )


def printed(report: EvaluationReport) -> list[list[str]]:
    """Cells of the table's rows."""
    console = Console(width=200, record=True, file=StringIO())
    console.print(report.table())
    return [
        [cell.strip() for cell in line.strip("│ ").split("│")]
        for line in console.export_text().splitlines()
        if line.startswith("│")
    ]


def test_table_contains_weights_data_and_protocols(report):
    console = Console(width=200, record=True, file=StringIO())
    console.print(report.table())
    text = " ".join(console.export_text().split())
    assert "weights w.safetensors on a small set (16 images)" in text
    for name, meaning in PROTOCOL_DESCRIPTIONS.items():
        assert f"{name}: {meaning}" in text


def test_table_json_and_csv_agree(report, tmp_path):
    report.write_json(tmp_path / "figures.json")
    report.write_csv(tmp_path / "figures.csv")
    document = json.loads((tmp_path / "figures.json").read_text())
    with (tmp_path / "figures.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == CSV_FIELDS
    assert len(rows) == sum(len(category["figures"]) for category in document["categories"].values())
    for row in rows:
        category = document["categories"][row["category"]]
        values = category["figures"][f"{row['figure']}/{row['protocol']}"]
        assert {name: row[name] for name in values} == {
            name: "" if value is None else str(value) for name, value in values.items()
        }
        assert int(row["hands"]) == category["hands"]
        assert row["unit"] == document["units"][row["figure"]]

    names = list(report.results)
    lines = printed(report)
    for key, metric in report.results[ALL].metrics().items():
        info = METRICS[key.metric]
        title = f"{info.title}, {info.unit}" if info.unit else info.title
        (cells,) = [line for line in lines if line[:2] == [title, key.protocol]]
        metrics = document["categories"]
        values = [metrics[name]["figures"][str(key)]["weights"] for name in names]
        values += [metrics[ALL]["figures"][str(key)][name] for name in ("mean_pose", NEAREST)]
        values += [
            metrics[ALL]["figures"][str(key)][name] for name in ("skill_over_mean_pose", f"skill_over_{NEAREST}")
        ]
        for cell, value in zip(cells[2:], values, strict=True):
            assert (cell == "-") == (value is None)
            assert value is None or float(cell) == pytest.approx(value, abs=0.051 if info.unit else 0.0051)
        assert metrics[ALL]["figures"][str(key)]["weights"] == pytest.approx(metric.value)


def test_json_contains_curves_and_provenance(report, tmp_path):
    report.write_json(tmp_path / "figures.json")
    document = json.loads((tmp_path / "figures.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert document["provenance"] == {"why": "a test"}
    whole = document["categories"][ALL]
    assert len(document["pck_thresholds_mm"]) == 200
    for summary in ("weights", "mean_pose", NEAREST):
        curve = whole["pck"][summary]["wrist-raw"]
        assert len(curve) == 200
        assert curve == sorted(curve)
    assert len(whole["reliability"]) == len(document["reliability_levels"]) == 99
    assert document["categories"]["no-hand"]["figures"]["mpjpe_mm/wrist-raw"]["weights"] is None


def test_metrics_of_a_category(report):
    values = report.metrics("no-hand")
    assert values["mpjpe_mm/wrist-raw"]["weights"] is None
    assert values["presence/at-half"]["weights"] == 1
    key = MetricKey("mpjpe_mm", "wrist-raw")
    assert report.metrics()[str(key)]["weights"] == report.results[ALL].weights.metrics[key]
    assert not any(isinstance(v, float) and math.isnan(v) for row in report.metrics().values() for v in row.values())
