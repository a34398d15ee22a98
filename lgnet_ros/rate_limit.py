"""Rate limiting of images by their time stamps."""

from __future__ import annotations

import time
from collections.abc import Callable

from builtin_interfaces.msg import Time


class RateLimiter:
    """Limits a stream of images to a maximum rate, measured by their stamps or, if these are constant, by a clock.

    Args:
        clock: monotonic time, nanoseconds.
    """

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._next = 0
        self._last_stamp: int | None = None

    def allows(self, stamp_ns: int, rate: float) -> bool:
        """Return whether the image with this stamp passes. ``rate`` in Hz; 0 disables the limit.

        An image that is up to 10 % of a period early also passes, since cameras jitter; the average rate is kept.
        """
        constant, self._last_stamp = stamp_ns == self._last_stamp, stamp_ns
        if rate <= 0:
            return True
        now = self._clock() if constant else stamp_ns
        period = round(1e9 / rate)
        if not self._next - 2 * period < now < self._next + 2 * period:  # first image, pause or clock jump
            self._next = now
        if now < self._next - period // 10:
            return False
        self._next += period
        return True


def stamp_to_ns(stamp: Time) -> int:
    """Convert a message's stamp to nanoseconds. Unlike ``rclpy.time.Time.from_msg``, it accepts negative seconds."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
