"""Memory usage of a process and its growth over repeated lifecycles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

MEBIBYTE = 1 << 20
ONE_HEAP = {"MALLOC_ARENA_MAX": "1"}
"""Environment of a process whose memory is measured. Otherwise glibc has a heap per thread, and a thread that loads the
networks gets another one each time; their fragmentation varies by 40 MiB and hides a leak or imitates one."""
_PAGE_SIZE = 4096  # bytes
_WINDOW = 20  # lifecycles


def resident_memory(process_id: int) -> int:
    """Resident set size of a process, bytes."""
    pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
    return pages * _PAGE_SIZE


def memory_growth(sizes: Sequence[int]) -> int:
    """Growth of memory, given the size after each lifecycle.

    Compares the minima of the first and the last window, since freed memory is sometimes returned with a delay. The
    first tenth is skipped: it includes allocations that are made only once.
    """
    settled = sizes[len(sizes) // 10 :]
    return min(settled[-_WINDOW:]) - min(settled[:_WINDOW])
