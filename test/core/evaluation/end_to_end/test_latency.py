"""Latency measurement with a stub and a manual clock: which frames count as tracked."""

from __future__ import annotations

import types
from dataclasses import replace

import pytest
from support.fixed_hands import two_hands
from support.small_clip import small_clip

from lgnet_core.evaluation.end_to_end import latency
from lgnet_core.evaluation.end_to_end.latency import DETECTION, TRACKING, measure_latencies


class TimedEstimator:
    """An estimator that takes 4 ms, whose tracker takes 2 ms and loses the left hand in every fourth frame."""

    def __init__(self, hands) -> None:
        self.hands, self.calls, self.now = hands, 0, 0.0

    def perf_counter(self) -> float:
        return self.now

    def warm_up(self) -> None:
        self.now += 1.0  # does not count

    def estimate(self, image, camera):
        self.now += 0.004
        return self.hands

    def update(self, image, camera, stamp_ns):
        self.calls += 1
        if self.calls % 4 == 0:
            self.now += 0.05  # such frames do not count
            return replace(self.hands, left=None)
        self.now += 0.002
        return self.hands


def test_median_latencies(hand_model, monkeypatch):
    estimator = TimedEstimator(two_hands(hand_model))
    monkeypatch.setattr(latency, "HandTracker", lambda estimator: estimator)
    monkeypatch.setattr(latency, "time", types.SimpleNamespace(perf_counter=estimator.perf_counter))
    medians = measure_latencies(estimator, small_clip(8), "stub")
    assert list(medians) == ["stub"]
    assert medians["stub"] == pytest.approx({DETECTION: 4, TRACKING: 2})
