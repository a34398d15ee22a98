"""Tests of the image statistics with a manual clock."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lgnet_ros.diagnostics.statistics import WINDOW_SECONDS, Statistics

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
    for _ in range(10):
        statistics.record_received()
        clock.time += 0.1
    for _ in range(3):
        statistics.record_dropped()
    statistics.record_rejected("image_step")
    statistics.record_rejected("image_step")
    statistics.record_rejected("camera_size")
    statistics.record_uncalibrated("no camera_info")
    statistics.record_borrowed()
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
    assert (snapshot.uncalibrated_reason, snapshot.borrowed, snapshot.lost) == ("no camera_info", 1, 0)
    assert snapshot.time_since_received == pytest.approx(0.35)
    assert snapshot.time_since_processed == pytest.approx(0.25)
    assert snapshot.last_stamp == 7
    assert snapshot.received_rate == pytest.approx(10)


def test_old_events_only_count_in_totals(statistics: Statistics, clock: Clock) -> None:
    statistics.record_failed("old error")
    statistics.record_rejected("image_size")
    statistics.record_received()
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
        statistics.record_received()
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


@pytest.mark.parametrize(
    ("received", "lost", "fraction"),
    [(790, 210, 0.21), (0, 88, 1.0), (100, 0, 0.0), (0, 0, None)],
)
def test_loss_is_the_fraction_of_images_that_the_middleware_lost(
    statistics: Statistics, clock: Clock, received: int, lost: int, fraction: float | None
) -> None:
    """Neither rate nor regularity of the images matter: at 200 Hz, and with steps of any length."""
    for k in range(received):
        statistics.record_received()
        clock.time += 0.001 * (k % 10 == 0)
    for _ in range(lost // 2):
        statistics.record_lost(2)
    snapshot = statistics.snapshot()
    assert snapshot.lost == lost
    assert snapshot.loss_fraction == (None if fraction is None else pytest.approx(fraction))
    clock.time += WINDOW_SECONDS + 0.01
    assert (statistics.snapshot().lost, statistics.snapshot().loss_fraction) == (lost, None)


def test_loss_is_unknown_if_the_middleware_does_not_count(statistics: Statistics) -> None:
    statistics.set_counts_losses(False)
    statistics.record_received()
    snapshot = statistics.snapshot()
    assert snapshot.lost is snapshot.loss_fraction is None


def test_warnings_are_kept_by_kind_within_the_window(statistics: Statistics, clock: Clock) -> None:
    statistics.record_warning("stamp_zero", "first")
    statistics.record_warning("stamp_zero", "second")
    clock.time += 1
    statistics.record_warning("frame_id_empty", "empty")
    assert statistics.snapshot().recent_warnings == {"stamp_zero": "second", "frame_id_empty": "empty"}
    clock.time += WINDOW_SECONDS - 0.5
    assert statistics.snapshot().recent_warnings == {"frame_id_empty": "empty"}


@pytest.mark.parametrize("completion", ["processed", "uncalibrated", "rejected", "failed"])
def test_pending_time_ends_when_an_image_completes(statistics: Statistics, clock: Clock, completion: str) -> None:
    assert statistics.snapshot().pending_time is None
    for _ in range(4):
        statistics.record_queued()
        clock.time += 1.5
    assert statistics.snapshot().pending_time == pytest.approx(6)
    arguments = {
        "processed": ({}, 0),
        "uncalibrated": ("no camera_info",),
        "rejected": ("image_data",),
        "failed": ("x",),
    }
    getattr(statistics, f"record_{completion}")(*arguments[completion])
    assert statistics.snapshot().pending_time is None


def test_memory_is_bounded(statistics: Statistics) -> None:
    for _ in range(10_000):
        statistics.record_received()
        statistics.record_lost(1)
        statistics.record_rejected("image_data")
    assert statistics.snapshot().received == 10_000
    assert max(len(v) for v in vars(statistics).values() if hasattr(v, "maxlen")) <= 2000


def test_reset_discards_everything(statistics: Statistics, clock: Clock) -> None:
    statistics.record_received()
    statistics.record_failed("x")
    statistics.record_processed({"total": 1.0}, 1)
    statistics.reset()
    assert statistics.snapshot() == Statistics(clock).snapshot()


def test_counts_are_thread_safe(statistics: Statistics) -> None:
    def run(operation: Callable[[], object]) -> None:
        for _ in range(500):
            operation()

    operations = [
        lambda: statistics.record_received(),
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
