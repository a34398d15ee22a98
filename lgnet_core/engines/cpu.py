"""Number of CPU cores available to this process: affinity mask and cgroup quota."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def available_cores(root: Path = Path("/")) -> int:
    """Physical cores in this process's affinity mask, limited by its cgroup's CPU quota (rounded up); at least 1.

    A container with a CPU quota sees all cores of its host. With one thread per host core, the quota is used up early
    in each scheduling period, and all threads are throttled for the rest of it.

    Args:
        root: parent folder of /proc and /sys. Missing files (on systems other than Linux) set no limit.
    """
    cores = _physical_cores(root)
    return max(1, min([cores, *(math.ceil(quota) for quota in _quotas(root))]))


def _physical_cores(root: Path) -> int:
    """Physical cores in this process's affinity mask; hardware threads of the same core count once."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    cores = set()
    for cpu in os.sched_getaffinity(0):
        siblings = _read(root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        cores.add(siblings or str(cpu))
    return len(cores)


def _quotas(root: Path) -> Iterator[float]:
    """CPU quotas, in cores, of the process's cgroups and their ancestors; nothing for unlimited ones.

    cgroup v2 has ``cpu.max`` ("QUOTA PERIOD", or "max PERIOD"), v1 has ``cpu.cfs_quota_us`` (-1: unlimited) and
    ``cpu.cfs_period_us``. In a container, /proc/self/cgroup may contain the host's path although the mount starts at
    the container's own cgroup: missing folders are skipped, and the root of the mount is always read.
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
