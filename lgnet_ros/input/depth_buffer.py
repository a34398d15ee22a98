"""Buffer of recent depth images, looked up by the stamp of an image."""

from __future__ import annotations

import threading
from collections import deque

from sensor_msgs.msg import Image

from lgnet_ros.rate_limit import stamp_to_ns

BUFFER_DURATION = 1.0
"""Seconds of depth images kept: while an image waits and is processed, later depth arrives."""


class DepthBuffer:
    """Depth images of the last :data:`BUFFER_DURATION` seconds, by their stamps. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._messages: deque[tuple[int, Image]] = deque()

    def put(self, message: Image) -> None:
        """Store a depth image. What is farther from it than the duration, before or after, is discarded."""
        stamp_ns = stamp_to_ns(message.header.stamp)
        with self._lock:
            self._messages.append((stamp_ns, message))
            while abs(stamp_ns - self._messages[0][0]) > BUFFER_DURATION * 1e9:  # after, if the clock jumped back
                self._messages.popleft()

    def nearest(self, stamp_ns: int) -> Image | None:
        """The depth image with the nearest stamp, of equally near ones the latest; None if there is none."""
        with self._lock:
            messages = list(self._messages)
        nearest = min(reversed(messages), key=lambda entry: abs(entry[0] - stamp_ns), default=None)
        return None if nearest is None else nearest[1]
