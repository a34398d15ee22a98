"""ROS domains that no other test on this machine uses, not even one of another pytest process."""

from __future__ import annotations

import fcntl
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lgnet_ros.demo.system import DOMAINS


@contextmanager
def reserved_domain_id() -> Iterator[int]:
    """A free domain id, locked during the block: tests that shared a domain would receive each other's messages."""
    for domain_id in random.sample(DOMAINS, len(DOMAINS)):
        if (lock := _lock(domain_id)) is not None:
            with lock:
                yield domain_id
            return
    raise RuntimeError(f"all {len(DOMAINS)} ROS domains are in use by tests")


def _lock(domain_id: int) -> IO[str] | None:
    """An open file that locks the domain until it is closed; None if another process has locked it."""
    try:
        file = (Path(tempfile.gettempdir()) / f"lgnet_ros_test_domain_{domain_id}").open("a")
    except PermissionError:  # of another user
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
