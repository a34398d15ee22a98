"""Equal warnings are told once in a while, others at once."""

from __future__ import annotations

from lgnet_ros.throttle import WARN_SECONDS, Throttle


def test_a_text_is_due_again_after_a_while_and_others_do_not_wait_for_it() -> None:
    time = [100.0]
    throttle = Throttle(lambda: time[0])
    assert throttle.due("a")
    assert throttle.due("b")
    time[0] += 0.9 * WARN_SECONDS
    assert not throttle.due("a")
    time[0] += 0.2 * WARN_SECONDS
    assert throttle.due("a")
    assert not throttle.due("a")
    assert throttle.due("b")


def test_it_forgets_texts_that_are_no_longer_told() -> None:
    time = [0.0]
    throttle = Throttle(lambda: time[0])
    for k in range(1000):
        throttle.due(f"subscriber {k}")
        time[0] += 1.0
    assert len(throttle._told) <= WARN_SECONDS + 1
