"""Rates and medians of the last seconds."""

from __future__ import annotations

import math

import pytest

from lgnet_core.live.rates import WINDOW, RecentEvents


def test_rate_and_median_of_the_window() -> None:
    now = 0.0
    events = RecentEvents(lambda: now)
    assert events.rate == 0
    assert math.isnan(events.median)
    for k in range(200):
        now = k / 20
        events.add(k)
    assert events.rate == pytest.approx(20)
    assert events.median == pytest.approx(199 - WINDOW * 20 / 2)
    now += WINDOW / 2
    assert 9 < events.rate < 11, "the rate falls when events stay away"
    now += WINDOW
    assert events.rate == 0
