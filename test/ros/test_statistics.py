"""What is counted of images: totals, and what happened lately, by a clock that the test moves."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lgnet_ros.statistics import HORIZON, Statistics

MS = 1_000_000  # nanoseconds


class Clock:
    """Stands still until it is moved."""

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


def test_nothing_yet(statistics: Statistics) -> None:
    told = statistics.snapshot()
    assert (told.received, told.processed, told.received_rate, told.processed_rate) == (0, 0, 0, 0)
    assert told.since_received is told.since_processed is told.last_stamp is told.lost is None
    assert told.latency == told.rejected == told.lately_rejected == {}


def test_totals_and_times(statistics: Statistics, clock: Clock) -> None:
    for k in range(10):
        statistics.received(k * 33 * MS)
        clock.time += 0.1
    for _ in range(3):
        statistics.dropped()
    statistics.rejected("image_step")
    statistics.rejected("image_step")
    statistics.rejected("camera_size")
    statistics.uncalibrated()
    statistics.failed("first")
    statistics.failed("second")
    statistics.processed({"total": 0.02}, 7)
    clock.time += 0.25
    told = statistics.snapshot()
    assert (told.received, told.dropped, told.processed, told.uncalibrated, told.failed) == (10, 3, 1, 1, 2)
    assert told.rejected == told.lately_rejected == {"image_step": 2, "camera_size": 1}
    assert (told.lately_uncalibrated, told.lately_failed, told.last_failure) == (1, 2, "second")
    assert told.since_received == pytest.approx(0.35)
    assert told.since_processed == pytest.approx(0.25)
    assert told.last_stamp == 7
    assert told.received_rate == pytest.approx(10)


def test_what_is_long_ago_counts_in_totals_only(statistics: Statistics, clock: Clock) -> None:
    statistics.failed("long ago")
    statistics.rejected("image_size")
    statistics.received(0)
    statistics.processed({"total": 1.0}, 0)
    clock.time += HORIZON + 0.01
    told = statistics.snapshot()
    assert (told.failed, told.rejected, told.received) == (1, {"image_size": 1}, 1)
    assert (told.lately_failed, told.lately_rejected, told.latency, told.processed_rate) == (0, {}, {}, 0)


@pytest.mark.parametrize("rate", [1.0, 15.0, 30.0, 120.0])
def test_rates(statistics: Statistics, clock: Clock, rate: float) -> None:
    for _ in range(int(20 * rate)):
        statistics.received(0)
        statistics.processed({}, 0)
        clock.time += 1 / rate
    told = statistics.snapshot()
    assert told.received_rate == pytest.approx(rate)
    assert told.processed_rate == pytest.approx(rate)


@given(values=st.lists(st.floats(0, 10), min_size=1, max_size=50))
def test_percentiles_of_each_stage(values: list[float]) -> None:
    statistics = Statistics(Clock())
    for value in values:
        statistics.processed({"decode": value, "network": 2 * value}, 0)
    told = statistics.snapshot()
    assert list(told.latency) == ["decode", "network"]
    assert told.latency["decode"] == pytest.approx(tuple(np.percentile(values, (50, 95))))
    assert told.latency["network"] == pytest.approx(tuple(2 * np.percentile(values, (50, 95))))


def test_a_stage_that_not_every_image_has(statistics: Statistics) -> None:
    statistics.processed({"detect": 0.5, "network": 0.1}, 0)
    statistics.processed({"network": 0.3}, 0)
    latency = statistics.snapshot().latency
    assert latency["detect"] == (0.5, 0.5)
    assert latency["network"][0] == pytest.approx(0.2)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("jitter", [0.0, 0.05])
def test_gaps_between_stamps_tell_what_was_lost(
    statistics: Statistics, clock: Clock, share: float, jitter: float
) -> None:
    generator = np.random.default_rng(0)
    period = 33.3
    arrived = generator.uniform(size=150) >= share
    for k in np.flatnonzero(arrived):
        statistics.received(int((k + generator.normal() * jitter) * period * MS))
    lost = statistics.snapshot().lost
    assert lost == pytest.approx(1 - arrived.mean(), abs=0.04)


@pytest.mark.parametrize("share", [0.0, 0.3])
@pytest.mark.parametrize("jitter", [0.1, 0.15, 0.2, 0.3, 1.0])
def test_stamps_of_arrival_that_jitter_are_not_taken_for_losses(jitter: float, share: float) -> None:
    """What is told is near the truth; where a loss cannot be told from jitter, nothing is."""
    told = []
    for seed in range(20):
        generator, statistics = np.random.default_rng(seed), Statistics(Clock())
        arrived = np.flatnonzero(generator.uniform(size=150) >= share)
        for stamp in np.sort((arrived + generator.normal(size=len(arrived)) * jitter) * 33.3 * MS):
            statistics.received(int(stamp))
        told.append((statistics.snapshot().lost, 1 - len(arrived) / 150))
    assert all(lost is None or abs(lost - truth) < 0.07 for lost, truth in told), told
    assert jitter > 0.1 or all(lost is not None for lost, _ in told)


@pytest.mark.parametrize("after", ["processed", "uncalibrated", "rejected", "failed"])
def test_how_long_images_wait_until_one_is_done_with(statistics: Statistics, clock: Clock, after: str) -> None:
    assert statistics.snapshot().waiting is None
    for _ in range(4):
        statistics.waits()
        clock.time += 1.5
    assert statistics.snapshot().waiting == pytest.approx(6)
    done = {"processed": ({}, 0), "uncalibrated": (), "rejected": ("image_data",), "failed": ("x",)}
    getattr(statistics, after)(*done[after])
    assert statistics.snapshot().waiting is None


@pytest.mark.parametrize("stamps", [[], [5], [5] * 30, list(range(30, 0, -1)), [k * 2000 * MS for k in range(30)]])
def test_stamps_that_tell_nothing(statistics: Statistics, stamps: list[int]) -> None:
    for stamp in stamps:
        statistics.received(stamp)
    assert statistics.snapshot().lost is None


def test_a_jump_of_the_clock_is_no_loss(statistics: Statistics) -> None:
    for k in range(60):
        statistics.received((k * 33 - (10_000 if k >= 30 else 0)) * MS)
    assert statistics.snapshot().lost == 0


def test_memory_is_bounded(statistics: Statistics) -> None:
    for k in range(10_000):
        statistics.received(k)
        statistics.rejected("image_data")
    assert statistics.snapshot().received == 10_000
    assert max(len(v) for v in vars(statistics).values() if hasattr(v, "maxlen")) <= 2000


def test_clear_forgets_everything(statistics: Statistics, clock: Clock) -> None:
    statistics.received(1)
    statistics.failed("x")
    statistics.processed({"total": 1.0}, 1)
    statistics.clear()
    assert statistics.snapshot() == Statistics(clock).snapshot()


def test_threads_lose_no_count(statistics: Statistics) -> None:
    def run(work: Callable[[], object]) -> None:
        for _ in range(500):
            work()

    works = [lambda: statistics.received(0), lambda: statistics.rejected("image_data"), statistics.snapshot]
    threads = [threading.Thread(target=run, args=(work,)) for work in works for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = statistics.snapshot()
    assert (told.received, told.rejected) == (1500, {"image_data": 1500})
