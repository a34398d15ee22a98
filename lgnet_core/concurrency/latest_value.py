"""Thread-safe single-slot buffer that keeps only the latest value."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Item = TypeVar("Item")


class LatestValue(Generic[Item]):
    """Single-slot buffer between a producer and a consumer thread: a new item replaces one not yet taken.

    With a queue, the robot would receive hands that are seconds old whenever the network is slower than the camera.
    All methods are thread-safe.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: Item | None = None
        self._closed = False

    def put(self, item: Item) -> bool:
        """Store an item without blocking. Return True if it replaced an item not yet taken. No effect once closed."""
        with self._changed:
            if self._closed:
                return False
            replaced = self._item is not None
            self._item = item
            self._changed.notify()
        return replaced

    def take(self, timeout: float | None = None) -> Item | None:
        """Wait for an item and remove it; None after ``timeout`` seconds (None: no timeout) or once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._item is not None, timeout)
            if self._closed:
                return None
            item, self._item = self._item, None
            return item

    def close(self) -> None:
        """Discard the stored item and make every current and future :meth:`take` return None."""
        with self._changed:
            self._closed, self._item = True, None
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        return self._closed
