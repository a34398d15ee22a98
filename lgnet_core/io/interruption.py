"""What an interruption (Ctrl-C, SIGTERM) of long work leaves behind, described where the work is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

SAVE_SECONDS = 60.0
"""Time after which long work writes what it has, so that a killed process loses about a minute of it."""


@contextmanager
def on_interruption(describe: Callable[[], str]) -> Iterator[None]:
    """Describe what an interruption of the block leaves behind; of nested blocks, the innermost one does.

    Args:
        describe: what was written and how to continue, as the end of the sentence "stopped; ...".
    """
    try:
        yield
    except KeyboardInterrupt as error:
        if str(error):
            raise
        raise type(error)(describe()) from error
