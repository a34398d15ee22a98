"""Signals before the node runs: importing PyTorch takes seconds, in which Python would answer with a traceback."""

from __future__ import annotations

import os
import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def exit_on_signals() -> None:
    """End the process with exit code 0 on SIGINT and SIGTERM; for programs, before anything is imported or created."""
    for number in SIGNALS:
        signal.signal(number, lambda *_: os._exit(0))
