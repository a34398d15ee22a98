"""Background load: processes are busy during the block and end after it."""

import os
from pathlib import Path

import pytest
from support.waiting import wait_for

from lgnet_core.evaluation.benchmark.background_load import background_load

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
def test_processes_are_busy_during_the_block():
    with background_load(2) as pids:
        assert len(pids) == 2
        for pid, before in [(pid, cpu_seconds(pid)) for pid in pids]:
            wait_for(lambda pid=pid, end=before + 0.05: cpu_seconds(pid) > end, "a background process to compute")
    assert not any(map(exists, pids))


def test_processes_end_after_an_exception():
    with pytest.raises(KeyboardInterrupt), background_load(1) as pids:
        raise KeyboardInterrupt
    assert not any(map(exists, pids))


def test_no_background_processes():
    with background_load(0) as pids:
        assert pids == []
