"""Latency measurement with a stub: which frames count as tracked."""

from __future__ import annotations

import time
from dataclasses import replace

from support.fixed_hands import two_hands
from support.small_clip import small_clip

from lgnet_core.evaluation.end_to_end import latency as latency
from lgnet_core.evaluation.end_to_end.latency import (
    DETECTION,
    TRACKING,
    measure_latencies,
)


class SlowEstimator:
    """An estimator that takes 4 ms, whose tracker takes 2 ms and loses the left hand in every fourth frame."""

    def __init__(self, hands) -> None:
        self.hands, self.calls = hands, 0

    def warm_up(self) -> None:
        pass

    def estimate(self, image, camera):
        time.sleep(0.004)
        return self.hands

    def update(self, image, camera, stamp_ns):
        self.calls += 1
        if self.calls % 4 == 0:
            time.sleep(0.05)  # such frames do not count
            return replace(self.hands, left=None)
        time.sleep(0.002)
        return self.hands


def test_median_latencies(hand_model, monkeypatch):
    monkeypatch.setattr(latency, "HandTracker", lambda estimator: estimator)
    medians = measure_latencies(SlowEstimator(two_hands(hand_model)), small_clip(8), "stub")
    assert list(medians) == ["stub"]
    assert 4 <= medians["stub"][DETECTION] < 30
    assert 2 <= medians["stub"][TRACKING] < 30
