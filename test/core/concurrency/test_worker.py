"""Tests of the worker thread: errors, stopping, timeouts."""

from __future__ import annotations

import threading

from support.waiting import TIMEOUT

from lgnet_core.concurrency.latest_value import LatestValue
from lgnet_core.concurrency.worker import Worker


def test_error_affects_only_its_item():
    done, errors = [], []
    handled = threading.Semaphore(0)

    def process(item: int) -> None:
        if item % 2:
            raise ValueError(f"item {item}")
        done.append(item)
        handled.release()

    def on_error(error: Exception) -> None:
        errors.append(str(error))
        handled.release()

    buffer: LatestValue[int] = LatestValue()
    worker = Worker(buffer, process, on_error)
    worker.start()
    for item in range(6):
        buffer.put(item)
        assert handled.acquire(timeout=TIMEOUT)
    assert worker.stop(TIMEOUT)
    assert (done, errors) == ([0, 2, 4], ["item 1", "item 3", "item 5"])


def test_stop_waits_for_the_current_item_and_discards_others():
    started, resume, done = threading.Event(), threading.Event(), []

    def process(item: int) -> None:
        started.set()
        resume.wait(TIMEOUT)
        done.append(item)

    buffer: LatestValue[int] = LatestValue()
    worker = Worker(buffer, process, lambda error: None)
    worker.start()
    buffer.put(1)
    assert started.wait(TIMEOUT)
    buffer.put(2)
    assert not worker.stop(0.01), "the item is still being processed"
    resume.set()
    assert worker.stop(TIMEOUT)
    assert done == [1]


def test_stop_without_start():
    assert Worker(LatestValue(), print, print).stop(0)
