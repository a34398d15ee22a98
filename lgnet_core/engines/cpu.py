"""How many CPU cores this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def available_cores(root: Path = Path("/")) -> int:
    """Physical cores that this process may run on, at most its cgroup's CPU quota, rounded up; at least 1.

    A container with a quota sees all cores of its host; with a thread for each, its quota is spent in a fraction of
    each period, and then all of them stand still.

    Args:
        root: where /proc and /sys lie. What is missing there (other systems than Linux) sets no limit.
    """
    cores = _physical_cores(root)
    return max(1, min([cores, *(math.ceil(quota) for quota in _quotas(root))]))


def _physical_cores(root: Path) -> int:
    """Of the CPUs in this process's affinity mask; two hardware threads of a core count once."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    cores = set()
    for cpu in os.sched_getaffinity(0):
        siblings = _read(root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        cores.add(siblings or str(cpu))
    return len(cores)


def _quotas(root: Path) -> Iterator[float]:
    """Quotas, in cores, of the process's cgroups and of those above them; none where there is no limit.

    Version 2 has ``cpu.max`` ("QUOTA PERIOD", or "max PERIOD"), version 1 ``cpu.cfs_quota_us`` (-1: no limit) and
    ``cpu.cfs_period_us``. In a container the path of /proc/self/cgroup may be the host's, while what is mounted starts
    at the container's own group: folders that do not exist are skipped, the mount itself is always read.
    """
    mounts = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        groups = [PurePosixPath(path), *PurePosixPath(path).parents]
        for mount in (mounts / controllers, mounts / "cpu") if controllers else (mounts, mounts / "unified"):
            for group in groups:
                folder = mount / group.relative_to("/")
                if controllers:
                    limits = [_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")]
                else:
                    limits = _read(folder / "cpu.max").split()
                if len(limits) == 2 and all(limit.isdecimal() for limit in limits):
                    yield int(limits[0]) / int(limits[1])


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
