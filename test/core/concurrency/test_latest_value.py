"""Tests of the single-slot buffer."""

from __future__ import annotations

import threading
import time

from hypothesis import given
from hypothesis import strategies as st
from support.waiting import TIMEOUT, wait_for

from lgnet_core.concurrency.latest_value import LatestValue


@given(st.lists(st.one_of(st.integers(), st.just("take"))))
def test_every_item_is_taken_or_reported_as_replaced(steps):
    """For any order of operations, take returns the last item put, and put reports the replacement of an item."""
    buffer: LatestValue[int] = LatestValue()
    stored = None
    for step in steps:
        if step == "take":
            assert buffer.take(0) == stored
            stored = None
        else:
            assert buffer.put(step) == (stored is not None)
            stored = step


def test_take_waits_with_a_timeout():
    buffer: LatestValue[str] = LatestValue()
    threading.Timer(0.05, buffer.put, ["item"]).start()
    assert buffer.take(TIMEOUT) == "item"
    start = time.monotonic()
    assert buffer.take(0.05) is None
    assert time.monotonic() - start > 0.04


def test_close_wakes_waiting_threads_and_discards_items():
    buffer: LatestValue[str] = LatestValue()
    results: list[str | None] = []
    waiter = threading.Thread(target=lambda: results.append(buffer.take()))
    waiter.start()
    buffer.close()
    waiter.join(TIMEOUT)
    assert results == [None]
    buffer.put("too late")
    assert buffer.take(0) is None


def test_items_stay_in_order_under_load():
    """With a fast producer and a slow consumer, items are taken in order, and all replaced items are counted."""
    buffer: LatestValue[int] = LatestValue()
    taken: list[int] = []

    def take_all() -> None:
        while (item := buffer.take(TIMEOUT)) is not None and item >= 0:
            taken.append(item)

    taker = threading.Thread(target=take_all)
    taker.start()
    replaced = sum(buffer.put(number) for number in range(5_000))
    wait_for(lambda: taken[-1:] == [4_999])
    buffer.put(-1)
    taker.join(TIMEOUT)
    assert taken == sorted(set(taken))
    assert len(taken) + replaced == 5_000
