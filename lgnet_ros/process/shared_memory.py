"""Shared memory segments of Fast DDS, which a process leaves in /dev/shm if it is killed: 34 MB each.

Like ``fastdds shm clean``, this relies on the lock that Fast DDS holds on a file beside each segment while the owner of
the segment lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
LOCK_SUFFIX = "_el"
MINIMUM_AGE = 2.0  # seconds; Fast DDS creates a lock file a moment before it locks it

_LOCK_FILE = re.compile(rf"fast(dds|rtps)_[0-9a-z]{{16}}{LOCK_SUFFIX}")


def remove_orphaned_segments(folder: Path = SHARED_MEMORY) -> int:
    """Remove the segments of processes that were killed and return their number; those of other users are kept."""
    locks = [path for path in _files(folder) if _LOCK_FILE.fullmatch(path.name) and _is_orphaned(path)]
    return sum(map(_remove, locks))


def remove_own_segments() -> None:
    """Remove the segments of this process, before it ends without destroying its nodes."""
    for descriptor in _files(Path("/proc/self/fd")):
        with contextlib.suppress(OSError):
            target = descriptor.readlink()
            if target.parent == SHARED_MEMORY and _LOCK_FILE.fullmatch(target.name):
                _remove(target)


def _files(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # not Linux, or not permitted
        return []


def _is_orphaned(lock: Path) -> bool:
    """Whether nobody holds the lock."""
    try:
        if time.time() - lock.stat().st_mtime < MINIMUM_AGE:
            return False
        descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _remove(lock: Path) -> bool:
    try:
        lock.with_name(lock.name.removesuffix(LOCK_SUFFIX)).unlink(missing_ok=True)
        lock.unlink(missing_ok=True)
        return True
    except OSError:  # of another user
        return False
