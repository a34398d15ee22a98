"""Throttling of repeated log messages."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

LOG_THROTTLE_PERIOD = 10.0
"""Seconds between two warnings of one kind."""


class LogThrottle:
    """Passes each kind of message at most once per :data:`LOG_THROTTLE_PERIOD`. Thread-safe.

    rclpy throttles per line of code, so of two problems reported by the same line only one would be logged.

    Args:
        clock: monotonic time, seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last_logged: dict[str, float] = {}

    def allows(self, kind: str) -> bool:
        """Return whether a message of this kind may be logged now, and if so record it as logged.

        Args:
            kind: the text of the message, or what texts with varying details have in common.
        """
        with self._lock:
            now = self._clock()
            self._last_logged = {old: t for old, t in self._last_logged.items() if now - t < LOG_THROTTLE_PERIOD}
            if kind in self._last_logged:
                return False
            self._last_logged[kind] = now
            return True
