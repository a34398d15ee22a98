"""Space on the disk, and refusal of work whose results need more."""

from __future__ import annotations

import shutil
from pathlib import Path

from lgnet_core.io.output import OutputError


class InsufficientSpaceError(OutputError):
    """Results that need more space than the disk has; the message states both and the remedy."""


def require_space(need: float, folder: Path, what: str, remedy: str) -> None:
    """Refuse work whose results do not fit on the disk.

    Args:
        need: bytes. folder: where they will be written; it may not exist yet.
        what: the results, the subject of the message. remedy: how to need less.

    Raises:
        InsufficientSpaceError: if ``need`` is not free.
    """
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if need > free:
        raise InsufficientSpaceError(
            f"{folder}: {what} need about {need / 1e9:.1f} GB, and {free / 1e9:.1f} GB of the disk are free; {remedy}"
        )
