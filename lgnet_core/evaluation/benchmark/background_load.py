"""Processes that keep cores busy, since the computer of a robot is never free."""

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
"""Ends by itself soon after its parent, however that ended."""


@contextmanager
def busy_processes(count: int) -> Iterator[list[int]]:
    """So many processes of one thread each that always want a core, at the usual priority, while the block runs.

    Yields:
        Their process ids, once all of them are at work.
    """
    with ExitStack() as running:
        processes = []
        for _ in range(count):
            process = subprocess.Popen([sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE)
            running.callback(process.communicate)
            running.callback(process.kill)
            processes.append(process)
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        yield [process.pid for process in processes]
