"""One slot between the executor and the worker: the newest image, never a queue."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Item = TypeVar("Item")


class LatestValue(Generic[Item]):
    """Latest wins: an item that nobody took before the next one came is dropped; who put that one is told.

    A queue would hand the robot hands that are seconds old as soon as the network is slower than the camera. All
    methods may be called from any thread.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: Item | None = None
        self._closed = False

    def put(self, item: Item) -> bool:
        """Leave an item; never waits. True if it pushed out one that nobody had taken. Nothing happens once closed."""
        with self._changed:
            if self._closed:
                return False
            pushed_out = self._item is not None
            self._item = item
            self._changed.notify()
        return pushed_out

    def take(self, timeout: float | None = None) -> Item | None:
        """Wait for an item and take it; None after ``timeout`` seconds (None: no limit) or once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._item is not None, timeout)
            if self._closed:
                return None
            item, self._item = self._item, None
            return item

    def close(self) -> None:
        """Throw away what is in the slot and let every waiting :meth:`take` return None from now on."""
        with self._changed:
            self._closed, self._item = True, None
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        return self._closed
