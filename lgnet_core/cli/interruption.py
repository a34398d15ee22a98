"""Ctrl-C and SIGTERM in the commands: one line that says what was written and how to continue, exit code 130 or 143.

The line comes from :func:`lgnet_core.io.interruption.on_interruption`.

Both signals raise :class:`KeyboardInterrupt`, so that ``finally`` clauses run and files are closed.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

from rich.console import Console
from rich.text import Text

SIGNAL_EXIT_CODE = 128
"""A command stopped by signal n exits with 128 + n, as shells have it: 130 after Ctrl-C, 143 after SIGTERM."""


class Terminated(KeyboardInterrupt):
    """SIGTERM was received."""


def raise_on_sigterm() -> None:
    """Make SIGTERM raise :class:`Terminated` in this process; processes forked from it end as usual."""
    owner = os.getpid()

    def handle(number: int, frame: FrameType | None) -> None:
        if os.getpid() == owner:
            raise Terminated
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, handle)


def exit_interrupted(error: KeyboardInterrupt) -> NoReturn:
    """Print the line of an interruption and exit."""
    text = f"lgnet: stopped; {error}" if str(error) else "lgnet: stopped; run the same command to start again"
    Console(stderr=True).print(Text(text, "red"), soft_wrap=True)
    number = signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT
    sys.exit(SIGNAL_EXIT_CODE + number)


def interruptible(command: Callable[..., None]) -> Callable[..., None]:
    """A command that reports its interruption; typer itself would exit without a word."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except KeyboardInterrupt as error:
            exit_interrupted(error)

    return run
