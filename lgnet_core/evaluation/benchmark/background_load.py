"""Background processes that keep CPU cores busy, as on the computer of a robot."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_PROGRAM = """
import os
parent = os.getppid()
print("busy", flush=True)
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""
"""Exits soon after its parent, however that ended."""


@contextmanager
def background_load(count: int) -> Iterator[list[int]]:
    """Run ``count`` single-threaded busy loops at normal priority during the block.

    Yields:
        Their process ids, once all of them are running.
    """
    with ExitStack() as exit_stack:
        processes = []
        for _ in range(count):
            process = subprocess.Popen([sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE)
            exit_stack.callback(process.communicate)
            exit_stack.callback(process.kill)
            processes.append(process)
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        yield [process.pid for process in processes]
