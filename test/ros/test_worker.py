"""The thread that works: survives failures, stops when told, and says when it cannot."""

from __future__ import annotations

import threading

from lgnet_ros.input.latest import LatestValue
from lgnet_ros.worker import Worker


def test_a_failure_costs_its_item_only():
    done, failures = [], []
    worked = threading.Semaphore(0)

    def work(item: int) -> None:
        if item % 2:
            raise ValueError(f"item {item}")
        done.append(item)
        worked.release()

    def failed(error: Exception) -> None:
        failures.append(str(error))
        worked.release()

    mailbox: LatestValue[int] = LatestValue()
    worker = Worker(mailbox, work, failed)
    worker.start()
    for item in range(6):
        mailbox.put(item)
        assert worked.acquire(timeout=10)
    assert worker.stop(10)
    assert (done, failures) == ([0, 2, 4], ["item 1", "item 3", "item 5"])


def test_stop_waits_for_the_item_at_work_and_takes_no_other():
    begun, go_on, done = threading.Event(), threading.Event(), []

    def work(item: int) -> None:
        begun.set()
        go_on.wait(10)
        done.append(item)

    mailbox: LatestValue[int] = LatestValue()
    worker = Worker(mailbox, work, lambda error: None)
    worker.start()
    mailbox.put(1)
    assert begun.wait(10)
    mailbox.put(2)
    assert not worker.stop(0.01), "the item is still at work"
    go_on.set()
    assert worker.stop(10)
    assert done == [1]


def test_a_worker_that_never_started_stops():
    assert Worker(LatestValue(), print, print).stop(0)
