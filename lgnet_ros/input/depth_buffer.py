"""Buffer of recent depth images, looked up by the stamp of an image."""

from __future__ import annotations

import threading
from collections import deque

from sensor_msgs.msg import Image

from lgnet_ros.rate_limit import stamp_to_ns

BUFFER_SIZE = 8
"""Depth images kept: a quarter of a second at 30 Hz, since images are processed while later depth arrives."""


class DepthBuffer:
    """The latest depth images. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._messages: deque[tuple[int, Image]] = deque(maxlen=BUFFER_SIZE)

    def put(self, message: Image) -> None:
        """Store a depth image."""
        with self._lock:
            self._messages.append((stamp_to_ns(message.header.stamp), message))

    def nearest(self, stamp_ns: int) -> Image | None:
        """The depth image with the nearest stamp, of equally near ones the latest; None if there is none."""
        with self._lock:
            messages = list(self._messages)
        nearest = min(reversed(messages), key=lambda entry: abs(entry[0] - stamp_ns), default=None)
        return None if nearest is None else nearest[1]
