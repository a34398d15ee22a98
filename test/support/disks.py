"""Stand-ins for a full disk and for a user without a home folder."""

from __future__ import annotations

import pwd
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Limit the size (bytes) of files that this process writes: like a full disk, but for this process only."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def free_space(monkeypatch: pytest.MonkeyPatch, free: int, below: Path = Path("/")) -> list[Path]:
    """The disk with the folder ``below`` has so many bytes left, others enough; returns the folders asked for."""
    asked: list[Path] = []

    def usage(path: Path) -> SimpleNamespace:
        asked.append(path)
        return SimpleNamespace(free=free if path.is_relative_to(below) else 10**15)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    return asked


def forget_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """No HOME and a user id without a passwd entry, as in a container that is started with ``--user 12345``."""

    def no_entry(user: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {user}")

    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", no_entry)
