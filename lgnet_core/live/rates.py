"""Rates and latencies over the last seconds, for the page."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import numpy as np

WINDOW = 2.0
"""Seconds."""


class RecentEvents:
    """Times of the events of the last :data:`WINDOW` seconds, each with a value. One thread adds, any may read.

    Args:
        clock: monotonic time, seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._events: deque[tuple[float, float]] = deque(maxlen=1000)

    def add(self, value: float = 0.0) -> None:
        self._events.append((self._clock(), value))

    @property
    def rate(self) -> float:
        """Events per second, 0 for fewer than two; it falls when events stay away."""
        events = self._recent()
        if len(events) < 2:
            return 0.0
        return (len(events) - 1) / max(self._clock() - events[0][0], 1e-6)

    @property
    def median(self) -> float:
        """Median of the values; NaN without events."""
        events = self._recent()
        return float(np.median([value for _, value in events])) if events else float("nan")

    def _recent(self) -> list[tuple[float, float]]:
        start = self._clock() - WINDOW
        return [event for event in tuple(self._events) if event[0] >= start]
