"""The thread in which images are looked at, so that the executor never waits for a network."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic

from lgnet_ros.input.latest import Item, LatestValue

WORKER = "hands worker"
"""Name of its thread."""


class Worker(Generic[Item]):
    """Takes items from a mailbox and works on them, one after another, until it is stopped.

    An exception costs its item only: it is handed to ``failed`` and the next item is taken.

    Args:
        mailbox: closed by :meth:`stop`; a worker that shall start again needs a new one.
        work: called in the worker's thread with each item.
        failed: called in the worker's thread with the exception that ``work`` raised.
    """

    def __init__(
        self, mailbox: LatestValue[Item], work: Callable[[Item], None], failed: Callable[[Exception], None]
    ) -> None:
        self.mailbox = mailbox
        self._work = work
        self._failed = failed
        # A daemon: a network that never comes back must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name=WORKER, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Close the mailbox and wait for the item at work; False if it is still at it after ``timeout`` seconds."""
        self.mailbox.close()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self.mailbox.closed:
            item = self.mailbox.take()
            if item is None:
                continue
            try:
                self._work(item)
            except Exception as error:  # whatever went wrong with one image must not end the thread
                self._failed(error)
