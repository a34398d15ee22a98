"""Benchmark: latencies by stage and module, settings, and counted operations."""

import pytest
from support.small_network import small_network
from support.tiny_network import TinyNetwork

from lgnet_core.data.clip import read_clip
from lgnet_core.evaluation.benchmark import bench
from lgnet_core.evaluation.benchmark.bench import count_macs, run_bench
from lgnet_core.types import TwoHands


class StubEstimator:
    """Has one engine and reports no hands."""

    def __init__(self, *given, **named):
        self.engines = {"tiny": bench.EagerEngine(TinyNetwork(), "cpu")}
        self.frames = []

    @classmethod
    def load(cls, *given, **named):
        cls.loaded = cls()
        cls.loaded.load_arguments = (given, named)
        return cls.loaded

    def estimate(self, image, camera):
        self.frames.append(image)
        return TwoHands(None, None, None, metric=True)


class StubTracker:
    """Reports two stages."""

    def __init__(self, estimator):
        self.stamps = []

    def update(self, image, camera, stamp_ns):
        self.stamps.append(stamp_ns)
        self.last_stages = {"detect": 1.0, "crop": 0.001 * len(self.stamps)}
        return TwoHands(None, None, None, metric=True)


@pytest.fixture(scope="module")
def report(hand_model):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "build_network", lambda preset, model: small_network(hand_model))
        patch.setattr(bench, "HandEstimator", StubEstimator)
        patch.setattr(bench, "HandTracker", StubTracker)
        return run_bench(
            hand_model,
            ["lgnet-mini"],
            ["eager"],
            "cpu",
            repetitions=3,
            threads=1,
            size=64,
            weights="w",
            background_processes=1,
        )


def test_pipeline_latency_by_stage_and_engine(report):
    (cost,) = report.pipelines
    assert list(cost.latency) == ["estimate", "update", "update/detect", "update/crop", "tiny x1", "tiny x2"]
    assert cost.latency["update/crop"].p50 == pytest.approx(5.0)  # calls 4 to 6, after the warm-up
    assert (cost.weights, cost.engine, cost.device, cost.hands) == ("w", "eager", "cpu", 0.0)
    assert cost.images_per_second == pytest.approx(1000 / cost.latency["update"].p50)


def test_pipeline_uses_given_weights_and_threads(report, hand_model):
    assert StubEstimator.loaded.load_arguments == (("w", "cpu", hand_model, "eager"), {"threads": 1})


def test_network_latency_in_total_and_by_module(report):
    (cost,) = report.networks
    assert {"network", "network/backbone", "network/refine_stage"} <= set(cost.latency)
    for latency in cost.latency.values():
        assert 0 < latency.p50 <= latency.p95 <= latency.p99
    assert cost.latency["network/backbone"].p50 < cost.latency["network"].p99
    assert (cost.network, cost.engine, cost.device, cost.precision) == ("lgnet-mini", "eager", "cpu", "fp32")
    assert cost.inputs == {"image": (3, 64, 64), "intrinsics": (3, 3)}
    assert cost.peak_memory_mb > 50


def test_report_contains_settings(report):
    assert (report.background_processes, report.machine["threads"]) == (1, 1)
    assert report.image_size == (read_clip().camera.width, read_clip().camera.height)


def test_frames_are_repeated_forwards_and_backwards():
    frames = bench._ping_pong([0, 1, 2, 3])
    assert [next(frames) for _ in range(9)] == [0, 1, 2, 3, 2, 1, 0, 1, 2]


def test_macs_of_known_layers():
    assert count_macs(TinyNetwork(8)) == 4 * 4 * 4 * 3 * 2 * 2
    assert count_macs(TinyNetwork(8), TinyNetwork(16).example_inputs()) == 4 * count_macs(TinyNetwork(8))
