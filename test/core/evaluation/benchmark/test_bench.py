"""The benchmark: what is measured, and what it counts."""

import pytest
from support.small_network import small_network
from support.tiny_network import TinyNetwork

from lgnet_core.data.clip import read_clip
from lgnet_core.evaluation.benchmark import bench
from lgnet_core.evaluation.benchmark.bench import count_macs, run_bench
from lgnet_core.types import TwoHands


class StubEstimator:
    """Has a network, sees no hands."""

    def __init__(self, *given, **named):
        self.engines = {"tiny": bench.EagerEngine(TinyNetwork(), "cpu")}
        self.frames = []

    @classmethod
    def load(cls, *given, **named):
        cls.loaded = cls()
        cls.loaded.asked = (given, named)
        return cls.loaded

    def estimate(self, image, camera):
        self.frames.append(image)
        return TwoHands(None, None, None, metric=True)


class StubTracker:
    """Two stages."""

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
            hand_model, ["lgnet-mini"], ["eager"], "cpu", repetitions=3, threads=1, size=64, weights="w", beside=1
        )


def test_the_pipeline_is_timed_by_stage_and_by_network(report):
    (cost,) = report.pipelines
    assert list(cost.latency) == ["estimate", "update", "update/detect", "update/crop", "tiny x1", "tiny x2"]
    assert cost.latency["update/crop"].p50 == pytest.approx(5.0)  # calls 4 to 6; those before warm up
    assert (cost.weights, cost.engine, cost.device, cost.hands) == ("w", "eager", "cpu", 0.0)
    assert cost.images_per_second == pytest.approx(1000 / cost.latency["update"].p50)


def test_the_pipeline_is_that_of_the_weights_and_threads_asked_for(report, hand_model):
    assert StubEstimator.loaded.asked == (("w", "cpu", hand_model, "eager"), {"threads": 1})


def test_a_network_is_timed_as_a_whole_and_in_parts(report):
    (cost,) = report.networks
    assert {"network", "network/backbone", "network/refine_stage"} <= set(cost.latency)
    for latency in cost.latency.values():
        assert 0 < latency.p50 <= latency.p95 <= latency.p99
    assert cost.latency["network/backbone"].p50 < cost.latency["network"].p99
    assert (cost.network, cost.engine, cost.device, cost.precision) == ("lgnet-mini", "eager", "cpu", "fp32")
    assert cost.inputs == {"image": (3, 64, 64), "intrinsics": (3, 3)}
    assert cost.peak_memory_mb > 50


def test_the_report_tells_how_it_was_measured(report):
    assert (report.beside, report.machine["threads"]) == (1, 1)
    assert report.image_size == (read_clip().camera.width, read_clip().camera.height)


def test_frames_go_to_and_fro():
    frames = bench._to_and_fro([0, 1, 2, 3])
    assert [next(frames) for _ in range(9)] == [0, 1, 2, 3, 2, 1, 0, 1, 2]


def test_macs_are_those_of_the_layers():
    assert count_macs(TinyNetwork(8)) == 4 * 4 * 4 * 3 * 2 * 2
    assert count_macs(TinyNetwork(8), TinyNetwork(16).example_inputs()) == 4 * count_macs(TinyNetwork(8))
