"""Busy neighbours: at work while the block runs, gone after it."""

import os
import time
from pathlib import Path

import pytest

from lgnet_core.evaluation.benchmark.busy import busy_processes

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads CPU times from /proc")


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@needs_proc
def test_they_work_until_the_end_of_the_block():
    with busy_processes(2) as pids:
        assert len(pids) == 2
        before, deadline = [cpu_seconds(pid) for pid in pids], time.monotonic() + 30
        while any(cpu_seconds(pid) < start + 0.05 for pid, start in zip(pids, before)):
            assert time.monotonic() < deadline, "a neighbour does not work"
            time.sleep(0.02)
    assert not any(map(exists, pids))


def test_an_error_ends_them_too():
    with pytest.raises(KeyboardInterrupt), busy_processes(1) as pids:
        raise KeyboardInterrupt
    assert not any(map(exists, pids))


def test_without_any_nothing_runs():
    with busy_processes(0) as pids:
        assert pids == []
