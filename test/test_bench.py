"""The benchmark: what it counts, and that its report says where it was made."""

import json

import pytest
import torch
from rich.console import Console
from small_network import small_network

from lgnet_core.inference import HandEstimator, bench
from lgnet_core.inference.bench import Latency, count_macs, machine_description, run_bench


@pytest.fixture(scope="module")
def report(hand_model):
    network = small_network(hand_model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "build_network", lambda preset, model: network)
        patch.setattr(bench, "BUNDLED_WEIGHTS", bench.Path("none"))
        return run_bench(hand_model, ["lgnet-mini"], ["eager"], "cpu", repetitions=3)


def test_every_stage_is_timed(report):
    (row,) = report.measurements
    assert {"crop", "network", "placement", "estimate", "network/backbone", "network/refine_stage"} <= set(row.latency)
    for latency in row.latency.values():
        assert 0 < latency.p50 <= latency.p95 <= latency.p99
    assert row.latency["network/backbone"].p50 < row.latency["estimate"].p99
    assert row.pictures_per_second == pytest.approx(1000 / row.latency["estimate"].p50)
    assert (row.weights, row.engine, row.device, row.precision) == ("random", "eager", "cpu", "fp32")
    assert row.size == 256
    assert row.peak_memory_mb > 50


def test_the_report_is_json_and_a_table(report, tmp_path):
    report.save(tmp_path / "bench.json")
    document = json.loads((tmp_path / "bench.json").read_text())
    assert document["machine"]["torch"].startswith(torch.__version__.split("+")[0])
    assert {"processor", "commit", "command", "threads", "load_average"} <= set(document["machine"])
    (row,) = document["measurements"]
    assert Latency(**row["latency"]["network"]).p50 > 0
    console = Console(width=200, record=True, file=(tmp_path / "table").open("w"))
    console.print(report.table())
    assert "random weights" in console.export_text()


def test_the_bundled_weights_are_timed_at_the_size_at_which_they_are_used(hand_model):
    _, weights, size = bench._network("lgnet-mini", hand_model)
    assert weights == "bundled"
    assert size == HandEstimator.load(device="cpu", engine="eager").engine.image_size


def test_macs_are_those_of_the_layers(hand_model):
    class OneLayer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Conv2d(3, 5, 3, padding=1)

        def forward(self, image, intrinsics):
            return self.layer(image)

    assert count_macs(OneLayer(), 32) == 32 * 32 * 5 * 3 * 9


def test_the_machine_is_described_outside_a_checkout(monkeypatch):
    def missing(*given, **named):
        raise FileNotFoundError("git")

    monkeypatch.setattr("subprocess.run", missing)
    assert machine_description()["commit"] is None
