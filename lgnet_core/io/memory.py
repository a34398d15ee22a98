"""Memory that is available to this process, and refusal of work that needs more."""

from __future__ import annotations

from pathlib import Path


class InsufficientMemoryError(RuntimeError):
    """Work that would need more memory than there is; the message states both and the remedy."""


def available_memory(root: Path = Path("/")) -> int | None:
    """Bytes that this process can still use: free memory of the machine, limited by its cgroup; None if unknown.

    Args:
        root: parent folder of /proc and /sys.
    """
    amounts = []
    for line in _read(root / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            amounts.append(1024 * int(line.split()[1]))
    mount = root / "sys/fs/cgroup"
    groups = [line.partition("::")[2].lstrip("/") for line in _read(root / "proc/self/cgroup").splitlines()]
    for folder in {mount, *(mount / group for group in groups)}:  # version 2
        amounts += _rest(folder / "memory.max", folder / "memory.current")
    amounts += _rest(mount / "memory/memory.limit_in_bytes", mount / "memory/memory.usage_in_bytes")  # version 1
    return min(amounts) if amounts else None


def require_memory(need: int, what: str, remedy: str, free: int | None = None) -> None:
    """Refuse work that needs more memory than is available.

    Args:
        need: bytes. what: the work, the subject of the message. remedy: how to need less.
        free: free memory, bytes; None: as :func:`available_memory` has it.

    Raises:
        InsufficientMemoryError: if ``need`` is not available.
    """
    free = available_memory() if free is None else free
    if free is not None and need > free:
        raise InsufficientMemoryError(
            f"{what}: needs about {need / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are available; {remedy}"
        )


def _rest(limit: Path, used: Path) -> list[int]:
    """Bytes left below a cgroup's limit; nothing if it has none."""
    values = [_read(limit), _read(used)]
    return [max(0, int(values[0]) - int(values[1]))] if all(value.isdecimal() for value in values) else []


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
