"""Throttling of repeated log messages."""

from __future__ import annotations

import time
from collections.abc import Callable

LOG_THROTTLE_PERIOD = 10.0
"""Seconds between two identical warnings."""


class LogThrottle:
    """Passes each distinct text at most once per :data:`LOG_THROTTLE_PERIOD`.

    rclpy throttles per line of code, so of two problems reported by the same line only one would be logged.

    Args:
        clock: monotonic time, seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_logged: dict[str, float] = {}

    def allows(self, text: str) -> bool:
        """Return whether ``text`` may be logged now, and if so record it as logged."""
        now = self._clock()
        self._last_logged = {old: t for old, t in self._last_logged.items() if now - t < LOG_THROTTLE_PERIOD}
        if text in self._last_logged:
            return False
        self._last_logged[text] = now
        return True
