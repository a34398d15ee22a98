"""Loading in a background thread, so that it never blocks the executor beyond the end of the process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from lgnet_core.concurrency.worker import WORKER_THREAD_NAME

POLL_PERIOD = 0.05  # seconds between two checks for an interruption

Result = TypeVar("Result")


class InterruptedWorkError(RuntimeError):
    """The process is ending, so the result is no longer waited for."""


def run_interruptibly(function: Callable[[], Result], interrupted: Callable[[], bool]) -> Result:
    """Call a function in a background thread and return its result, or raise its exception.

    Raises:
        InterruptedWorkError: ``interrupted()`` became true first; the thread continues in the background.
    """
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name=WORKER_THREAD_NAME, daemon=True).start()
    while not interrupted():
        wait([future], timeout=POLL_PERIOD)
        if future.done():
            return future.result()
    raise InterruptedWorkError("interrupted, since the process is ending")
