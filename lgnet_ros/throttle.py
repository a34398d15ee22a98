"""Warnings that are told once in a while, each by its own text."""

from __future__ import annotations

import time
from collections.abc import Callable

WARN_SECONDS = 10.0
"""Between two equal warnings."""


class Throttle:
    """Lets a text through once in :data:`WARN_SECONDS`.

    rclpy's own throttle counts by line of code: of two problems that one line tells of, the second would stay untold.

    Args:
        clock: seconds, never set back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[str, float] = {}

    def due(self, text: str) -> bool:
        """Whether a text is to be told now; counts as told then."""
        now = self._clock()
        self._told = {old: t for old, t in self._told.items() if now - t < WARN_SECONDS}
        if text in self._told:
            return False
        self._told[text] = now
        return True
