"""Tests of the image statistics with a manual clock."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lgnet_ros.statistics import WINDOW_SECONDS, Statistics

MS = 1_000_000  # nanoseconds


class Clock:
    """Manual clock."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def statistics(clock: Clock) -> Statistics:
    return Statistics(clock)


def test_initial_snapshot(statistics: Statistics) -> None:
    snapshot = statistics.snapshot()
    assert (snapshot.received, snapshot.processed, snapshot.received_rate, snapshot.processed_rate) == (0, 0, 0, 0)
    assert (
        snapshot.time_since_received
        is snapshot.time_since_processed
        is snapshot.last_stamp
        is snapshot.loss_fraction
        is None
    )
    assert snapshot.latency == snapshot.rejected == snapshot.recent_rejected == {}


def test_totals_and_elapsed_times(statistics: Statistics, clock: Clock) -> None:
    for k in range(10):
        statistics.record_received(k * 33 * MS)
        clock.time += 0.1
    for _ in range(3):
        statistics.record_dropped()
    statistics.record_rejected("image_step")
    statistics.record_rejected("image_step")
    statistics.record_rejected("camera_size")
    statistics.record_uncalibrated()
    statistics.record_failed("first")
    statistics.record_failed("second")
    statistics.record_processed({"total": 0.02}, 7)
    clock.time += 0.25
    snapshot = statistics.snapshot()
    assert (snapshot.received, snapshot.dropped, snapshot.processed, snapshot.uncalibrated, snapshot.failed) == (
        10,
        3,
        1,
        1,
        2,
    )
    assert snapshot.rejected == snapshot.recent_rejected == {"image_step": 2, "camera_size": 1}
    assert (snapshot.recent_uncalibrated, snapshot.recent_failed, snapshot.last_error) == (1, 2, "second")
    assert snapshot.time_since_received == pytest.approx(0.35)
    assert snapshot.time_since_processed == pytest.approx(0.25)
    assert snapshot.last_stamp == 7
    assert snapshot.received_rate == pytest.approx(10)


def test_old_events_only_count_in_totals(statistics: Statistics, clock: Clock) -> None:
    statistics.record_failed("old error")
    statistics.record_rejected("image_size")
    statistics.record_received(0)
    statistics.record_processed({"total": 1.0}, 0)
    clock.time += WINDOW_SECONDS + 0.01
    snapshot = statistics.snapshot()
    assert (snapshot.failed, snapshot.rejected, snapshot.received) == (1, {"image_size": 1}, 1)
    assert (snapshot.recent_failed, snapshot.recent_rejected, snapshot.latency, snapshot.processed_rate) == (
        0,
        {},
        {},
        0,
    )


@pytest.mark.parametrize("rate", [1.0, 15.0, 30.0, 120.0])
def test_rates(statistics: Statistics, clock: Clock, rate: float) -> None:
    for _ in range(int(20 * rate)):
        statistics.record_received(0)
        statistics.record_processed({}, 0)
        clock.time += 1 / rate
    snapshot = statistics.snapshot()
    assert snapshot.received_rate == pytest.approx(rate)
    assert snapshot.processed_rate == pytest.approx(rate)


@given(values=st.lists(st.floats(0, 10), min_size=1, max_size=50))
def test_percentiles_of_each_stage(values: list[float]) -> None:
    statistics = Statistics(Clock())
    for value in values:
        statistics.record_processed({"decode": value, "network": 2 * value}, 0)
    snapshot = statistics.snapshot()
    assert list(snapshot.latency) == ["decode", "network"]
    assert snapshot.latency["decode"] == pytest.approx(tuple(np.percentile(values, (50, 95))))
    assert snapshot.latency["network"] == pytest.approx(tuple(2 * np.percentile(values, (50, 95))))


def test_stage_of_some_images_only(statistics: Statistics) -> None:
    statistics.record_processed({"detect": 0.5, "network": 0.1}, 0)
    statistics.record_processed({"network": 0.3}, 0)
    latency = statistics.snapshot().latency
    assert latency["detect"] == (0.5, 0.5)
    assert latency["network"][0] == pytest.approx(0.2)


@pytest.mark.parametrize("loss", [0.0, 0.05, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("jitter", [0.0, 0.05])
def test_loss_is_estimated_from_stamp_gaps(statistics: Statistics, clock: Clock, loss: float, jitter: float) -> None:
    generator = np.random.default_rng(0)
    period = 33.3
    received = generator.uniform(size=150) >= loss
    for k in np.flatnonzero(received):
        statistics.record_received(int((k + generator.normal() * jitter) * period * MS))
    estimate = statistics.snapshot().loss_fraction
    assert estimate == pytest.approx(1 - received.mean(), abs=0.04)


@pytest.mark.parametrize("loss", [0.0, 0.3])
@pytest.mark.parametrize("jitter", [0.1, 0.15, 0.2, 0.3, 1.0])
def test_jitter_is_not_mistaken_for_loss(jitter: float, loss: float) -> None:
    """The estimate is close to the true loss, or None where loss and jitter cannot be distinguished."""
    estimates = []
    for seed in range(20):
        generator, statistics = np.random.default_rng(seed), Statistics(Clock())
        received = np.flatnonzero(generator.uniform(size=150) >= loss)
        for stamp in np.sort((received + generator.normal(size=len(received)) * jitter) * 33.3 * MS):
            statistics.record_received(int(stamp))
        estimates.append((statistics.snapshot().loss_fraction, 1 - len(received) / 150))
    assert all(estimate is None or abs(estimate - true_loss) < 0.07 for estimate, true_loss in estimates), estimates
    assert jitter > 0.1 or all(estimate is not None for estimate, _ in estimates)


@pytest.mark.parametrize("completion", ["processed", "uncalibrated", "rejected", "failed"])
def test_pending_time_ends_when_an_image_completes(statistics: Statistics, clock: Clock, completion: str) -> None:
    assert statistics.snapshot().pending_time is None
    for _ in range(4):
        statistics.record_queued()
        clock.time += 1.5
    assert statistics.snapshot().pending_time == pytest.approx(6)
    arguments = {"processed": ({}, 0), "uncalibrated": (), "rejected": ("image_data",), "failed": ("x",)}
    getattr(statistics, f"record_{completion}")(*arguments[completion])
    assert statistics.snapshot().pending_time is None


@pytest.mark.parametrize("stamps", [[], [5], [5] * 30, list(range(30, 0, -1)), [k * 2000 * MS for k in range(30)]])
def test_no_loss_estimate_from_unsuitable_stamps(statistics: Statistics, stamps: list[int]) -> None:
    for stamp in stamps:
        statistics.record_received(stamp)
    assert statistics.snapshot().loss_fraction is None


def test_clock_jump_is_not_mistaken_for_loss(statistics: Statistics) -> None:
    for k in range(60):
        statistics.record_received((k * 33 - (10_000 if k >= 30 else 0)) * MS)
    assert statistics.snapshot().loss_fraction == 0


def test_memory_is_bounded(statistics: Statistics) -> None:
    for k in range(10_000):
        statistics.record_received(k)
        statistics.record_rejected("image_data")
    assert statistics.snapshot().received == 10_000
    assert max(len(v) for v in vars(statistics).values() if hasattr(v, "maxlen")) <= 2000


def test_reset_discards_everything(statistics: Statistics, clock: Clock) -> None:
    statistics.record_received(1)
    statistics.record_failed("x")
    statistics.record_processed({"total": 1.0}, 1)
    statistics.reset()
    assert statistics.snapshot() == Statistics(clock).snapshot()


def test_counts_are_thread_safe(statistics: Statistics) -> None:
    def run(operation: Callable[[], object]) -> None:
        for _ in range(500):
            operation()

    operations = [
        lambda: statistics.record_received(0),
        lambda: statistics.record_rejected("image_data"),
        statistics.snapshot,
    ]
    threads = [threading.Thread(target=run, args=(operation,)) for operation in operations for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    snapshot = statistics.snapshot()
    assert (snapshot.received, snapshot.rejected) == (1500, {"image_data": 1500})
