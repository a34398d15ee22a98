"""Metrics of the node's benchmark, against values computed by hand."""

from __future__ import annotations

import sys

import pytest
from support.paths import ROOT

sys.path.append(str(ROOT / "tools" / "benchmarks"))

bench_node = pytest.importorskip("bench_node", reason="moveit_msgs is not installed; `make` builds it for tests")

MS = 1_000_000


def test_metrics_are_those_of_ros2_benchmark() -> None:
    """Five images at 10 Hz, the fourth of which is missed."""
    sent = [100 * k * MS for k in range(5)]
    latencies = {0: 10, 1: 20, 2: 12, 4: 30}
    metrics = bench_node.metrics(sent, {sent[k]: sent[k] + latency * MS for k, latency in latencies.items()})
    basic = {name.removeprefix("BasicPerformanceMetrics."): value for name, value in metrics.items()}
    assert (basic["NUM_FRAMES_SENT"], basic["NUM_MISSED_FRAMES"]) == (5, 1)
    assert basic["MEAN_PLAYBACK_FRAME_RATE"] == pytest.approx(10)
    assert basic["RECEIVED_DURATION"] == pytest.approx(420)
    assert basic["MEAN_FRAME_RATE"] == pytest.approx(1000 * 3 / 420)
    assert (basic["FIRST_SENT_RECEIVED_LATENCY"], basic["LAST_SENT_RECEIVED_LATENCY"]) == (10, 30)
    assert (basic["MIN_LATENCY"], basic["MEAN_LATENCY"], basic["MAX_LATENCY"]) == (10, 18, 30)
    # Frame-to-frame durations 110, 92 and 218 ms: their differences are 18 and 126 ms.
    assert (basic["MIN_JITTER"], basic["MEAN_JITTER"], basic["MAX_JITTER"]) == pytest.approx((18, 72, 126))
    assert metrics["p50 (ms)"] == pytest.approx(16)
