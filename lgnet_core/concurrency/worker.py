"""Background thread that processes the latest items of a buffer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic

from lgnet_core.concurrency.latest_value import Item, LatestValue

WORKER_THREAD_NAME = "hands worker"
"""Name of every thread that may still be busy with the networks when the process has to end."""


class Worker(Generic[Item]):
    """Takes items from a buffer and processes them one at a time until it is stopped.

    An exception affects only the item that raised it: it is passed to ``on_error``, and the next item is taken.

    Args:
        buffer: closed by :meth:`stop`, so each worker needs a new one.
        process: called in the worker thread with each item.
        on_error: called in the worker thread with each exception raised by ``process``.
    """

    def __init__(
        self, buffer: LatestValue[Item], process: Callable[[Item], None], on_error: Callable[[Exception], None]
    ) -> None:
        self.buffer = buffer
        self._process = process
        self._on_error = on_error
        # A daemon thread: a network call that never returns must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name=WORKER_THREAD_NAME, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Close the buffer and wait for the current item; False if it takes longer than ``timeout`` seconds."""
        self.buffer.close()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self.buffer.closed:
            item = self.buffer.take()
            if item is None:
                continue
            try:
                self._process(item)
            except Exception as error:  # no error of a single image may end the thread
                self._on_error(error)
