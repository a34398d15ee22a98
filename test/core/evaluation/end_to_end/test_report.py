"""Report of an end-to-end evaluation with several methods."""

from __future__ import annotations

import json
import math

from rich.console import Console

from lgnet_core.evaluation.end_to_end.report import EndToEndReport, collect

GROUPS = {
    "boxes": {"ours": {"found": 3, "error, px": 2.25}, "theirs": {"found": 2, "error, px": math.nan, "recall": 0.9}},
    "latency": {"theirs": {"p50, ms": 12.5}},
}


def report() -> EndToEndReport:
    return EndToEndReport("some images", collect(GROUPS), {"seed": 1}, details={"images": [1, math.nan]})


def test_collect_orders_by_metric_then_method():
    assert collect(GROUPS)["boxes"]["found"] == {"ours": 3, "theirs": 2}
    assert list(collect(GROUPS)) == ["boxes", "latency"]


def test_table():
    assert report().methods == ["ours", "theirs"]
    console = Console(width=80)
    with console.capture() as capture:
        console.print(report().table())
    lines = [line.split("│")[1:-1] for line in capture.get().splitlines() if line.startswith("│")]
    rows = {name.strip(): [cell.strip() for cell in cells] for name, *cells in lines}
    assert rows["found"] == ["3", "2"]
    assert rows["recall"] == ["-", "0.900"]
    assert rows["error, px"] == ["2.2", "-"]
    assert rows["p50, ms"] == ["-", "12.5"]


def test_json(tmp_path):
    report().write_json(tmp_path / "figures.json")
    document = json.loads((tmp_path / "figures.json").read_text())
    assert document["figures"]["boxes"]["error, px"] == {"ours": 2.25, "theirs": None}
    assert document["images"] == [1, None]
    assert document["provenance"] == {"seed": 1}
