"""Benchmark report as JSON and as tables."""

import io
import json

import pytest
from rich.console import Console

from lgnet_core.evaluation.benchmark.report import BenchmarkReport, Latency, NetworkCost, PipelineCost

MACHINE = {"processor": "a CPU", "threads": 2, "torch": "2.0"}
PIPELINE = PipelineCost(
    weights="bundled",
    engine="onnx",
    device="cpu",
    hands=1.75,
    latency={"estimate": Latency(20.0, 30, 40), "update": Latency(12.5, 13, 14), "update/crop": Latency(1.0, 2, 3)},
    images_per_second=80.0,
    peak_memory_mb=300.0,
)
NETWORK = NetworkCost(
    network="lgnet-mini",
    engine="eager",
    device="cpu",
    precision="fp32",
    inputs={"image": (3, 256, 256)},
    parameters=12_300_000,
    macs=1_250_000_000,
    latency={"network": Latency(50.0, 60, 70), "network/backbone": Latency(30.0, 31, 32)},
    peak_memory_mb=500.0,
)


def report(background_processes: int = 2) -> BenchmarkReport:
    return BenchmarkReport(MACHINE, (640, 480), background_processes, [PIPELINE], [NETWORK])


def text(tables) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    for table in tables:
        console.print(table)
    return console.export_text()


def test_percentiles_are_milliseconds_of_single_calls():
    assert Latency.of([k / 1000 for k in range(101)]) == Latency(50.0, 95.0, 99.0)


def test_json_contains_all_results(tmp_path):
    report().save(tmp_path / "bench.json")
    document = json.loads((tmp_path / "bench.json").read_text())
    assert (document["machine"], document["image_size"], document["background_processes"]) == (MACHINE, [640, 480], 2)
    (pipeline,), (network,) = document["pipelines"], document["networks"]
    assert Latency(**pipeline["latency"]["update"]) == PIPELINE.latency["update"]
    assert (pipeline["hands"], pipeline["images_per_second"]) == (1.75, 80.0)
    assert network["inputs"] == {"image": [3, 256, 256]}
    assert Latency(**network["latency"]["network/backbone"]) == NETWORK.latency["network/backbone"]


def test_tables_contain_all_results():
    shown = text(report().tables())
    for part in ("640x480", "12.5 / 13.0 / 14.0", "update/crop", "80.0", "3x256x256", "12.3", "1.25", "lgnet-mini"):
        assert part in shown, part


@pytest.mark.parametrize(("background_processes", "mentioned"), [(2, True), (0, False)])
def test_background_processes_are_mentioned(background_processes, mentioned):
    assert ("2 background processes" in text(report(background_processes).tables())) == mentioned
