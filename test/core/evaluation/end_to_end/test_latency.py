"""Latency of a stub: what counts as followed."""

from __future__ import annotations

import time
from dataclasses import replace

from support.fixed_hands import two_hands
from support.small_clip import small_clip

from lgnet_core.evaluation.end_to_end import program_latency
from lgnet_core.evaluation.end_to_end.program_latency import (
    DETECTION,
    FOLLOWING,
    latencies,
    ping_pong,
)


class Slow:
    """An estimator that takes 4 ms, and a tracker of it that takes 2 and loses the left hand in every fourth frame."""

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
            time.sleep(0.05)  # not a frame of two followed hands
            return replace(self.hands, left=None)
        time.sleep(0.002)
        return self.hands


def test_medians(hand_model, monkeypatch):
    monkeypatch.setattr(program_latency, "HandTracker", lambda estimator: estimator)
    found = latencies(Slow(two_hands(hand_model)), small_clip(8), "stub")
    assert list(found) == ["stub"]
    assert 4 <= found["stub"][DETECTION] < 30
    assert 2 <= found["stub"][FOLLOWING] < 30


def test_a_film_has_no_jumps():
    places = ping_pong(5)
    assert places == [0, 1, 2, 3, 4, 3, 2, 1]
    assert max(abs(a - b) for a, b in zip(places, places[1:] + places[:1])) == 1
