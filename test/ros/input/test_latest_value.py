"""The slot between executor and worker: the newest item, nothing else, and every loss told."""

from __future__ import annotations

import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from lgnet_ros.input.latest import LatestValue


@given(st.lists(st.one_of(st.integers(), st.just("take"))))
def test_every_item_is_taken_or_told_of(steps):
    """Whatever the order of puts and takes: a take gives the last put, and a put tells of what it pushed out."""
    mailbox: LatestValue[int] = LatestValue()
    waiting = None
    for step in steps:
        if step == "take":
            assert mailbox.take(0) == waiting
            waiting = None
        else:
            assert mailbox.put(step) == (waiting is not None)
            waiting = step


def test_take_waits_for_an_item_and_gives_up_in_time():
    mailbox: LatestValue[str] = LatestValue()
    threading.Timer(0.05, mailbox.put, ["letter"]).start()
    assert mailbox.take(10) == "letter"
    start = time.monotonic()
    assert mailbox.take(0.05) is None
    assert 0.04 < time.monotonic() - start < 5


def test_close_frees_who_waits_and_forgets_what_lies_there():
    mailbox: LatestValue[str] = LatestValue()
    answers: list[str | None] = []
    waiter = threading.Thread(target=lambda: answers.append(mailbox.take()))
    waiter.start()
    mailbox.close()
    waiter.join(10)
    assert answers == [None]
    mailbox.put("too late")
    assert mailbox.take(0) is None


def test_items_arrive_in_order_under_load():
    """A fast putter and a slow taker in two threads: what is taken only ever grows, and nothing is lost uncounted."""
    mailbox: LatestValue[int] = LatestValue()
    taken: list[int] = []

    def take_all() -> None:
        while (item := mailbox.take(10)) is not None and item >= 0:
            taken.append(item)

    taker = threading.Thread(target=take_all)
    taker.start()
    dropped = sum(mailbox.put(number) for number in range(5_000))
    while taken[-1:] != [4_999]:
        time.sleep(0.001)
    mailbox.put(-1)
    taker.join(10)
    assert taken == sorted(set(taken))
    assert len(taken) + dropped == 5_000
