"""The memory of a process, and whether it grows."""

from __future__ import annotations

from pathlib import Path

LIFECYCLES, WINDOW = 200, 20


MEBIBYTE = 1 << 20


def resident(process: int) -> int:
    """Bytes of memory that a process holds."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * 4096


def growth(sizes):
    """Bytes by which memory grew over lifecycles, told by its sizes after each of them.

    The least of several is compared: now and then what was freed is given back only later.
    """
    settled = sizes[len(sizes) // 10 :]  # what is allocated once is there by now
    return min(settled[-WINDOW:]) - min(settled[:WINDOW])
