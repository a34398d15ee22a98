"""Tests of log throttling."""

from __future__ import annotations

from lgnet_ros.throttle import LOG_THROTTLE_PERIOD, LogThrottle


def test_each_text_is_throttled_separately() -> None:
    time = [100.0]
    throttle = LogThrottle(lambda: time[0])
    assert throttle.allows("a")
    assert throttle.allows("b")
    time[0] += 0.9 * LOG_THROTTLE_PERIOD
    assert not throttle.allows("a")
    time[0] += 0.2 * LOG_THROTTLE_PERIOD
    assert throttle.allows("a")
    assert not throttle.allows("a")
    assert throttle.allows("b")


def test_old_texts_are_forgotten() -> None:
    time = [0.0]
    throttle = LogThrottle(lambda: time[0])
    for k in range(1000):
        throttle.allows(f"subscriber {k}")
        time[0] += 1.0
    assert len(throttle._last_logged) <= LOG_THROTTLE_PERIOD + 1
