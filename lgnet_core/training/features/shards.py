"""Atomic writing, resumable growing and lazy reading of safetensors shards."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load, save_file
from torch import Tensor

from lgnet_core.io.interruption import SAVE_SECONDS
from lgnet_core.io.output import replacing

_STATE = "random_state"
"""Tensor that only unfinished shards have."""


class ShardReader:
    """Safetensors files, each opened at its first use. When pickled to a worker process, it reopens them there."""

    def __init__(self) -> None:
        self._handles: dict[Path, Any] = {}

    def open(self, path: Path) -> Any:
        """Handle of a file, as ``safetensors.safe_open`` returns it."""
        if path not in self._handles:
            self._handles[path] = safe_open(path, "pt")
        return self._handles[path]

    def __getstate__(self) -> dict[str, Any]:
        return {"_handles": {}}


def write_shard(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a shard through a temporary file, so that an interrupted write leaves no truncated shard."""
    with replacing(path) as partial:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial)


def shard_length(path: Path, unfinished: bool = False) -> int:
    """Number of samples in a shard of features; 0 if there is no such file.

    Args:
        unfinished: count also what an unfinished shard has; otherwise it counts as none.
    """
    if not path.is_file():
        return 0
    with safe_open(path, "pt") as shard:
        if _STATE in shard.keys() and not unfinished:  # noqa: SIM118
            return 0
        return int(shard.get_slice("given").get_shape()[0])


class GrowingShard:
    """A shard that is written while it grows: every :data:`SAVE_SECONDS`, and when the block is interrupted.

    Until the end of the block the file has one tensor more, the state of the random generator after its last sample.
    A later process resumes from there, and the finished file is the same as that of an uninterrupted one.

        with GrowingShard(path) as shard:
            for index in range(shard.rows("given"), count):
                shard.append(tensors, state)

    Args:
        path: file of the shard; a finished one is replaced.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parts: list[tuple[dict[str, Tensor], Tensor]] = []  # tensors, and the state after them
        self._unsaved, self._saved_at = False, time.monotonic()
        if shard_length(path, unfinished=True) and not shard_length(path):
            tensors = load(path.read_bytes())  # not mapped: the file is replaced
            state = tensors.pop(_STATE)
            self._parts.append((tensors, state))

    def __enter__(self) -> GrowingShard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            write_shard(self._path, self._tensors())
        elif self._unsaved:
            self._save()

    @property
    def state(self) -> Tensor | None:
        """State of the random generator after the last sample, (N,) uint8; None at the beginning."""
        return self._parts[-1][1] if self._parts else None

    def rows(self, name: str) -> int:
        """Number of rows of a tensor so far."""
        return sum(len(tensors[name]) for tensors, _ in self._parts if name in tensors)

    def append(self, tensors: dict[str, Tensor], state: Tensor) -> None:
        """Add rows to some of the tensors.

        Args:
            state: state of the random generator after them, (N,) uint8.
        """
        self._parts.append((tensors, state))
        self._unsaved = True
        if time.monotonic() - self._saved_at >= SAVE_SECONDS:
            self._save()

    def _save(self) -> None:
        tensors, state = self._tensors(), self._parts[-1][1]
        write_shard(self._path, {**tensors, _STATE: state})
        self._parts = [(tensors, state)]
        self._unsaved, self._saved_at = False, time.monotonic()

    def _tensors(self) -> dict[str, Tensor]:
        names = dict.fromkeys(name for tensors, _ in self._parts for name in tensors)
        return {name: torch.cat([tensors[name] for tensors, _ in self._parts if name in tensors]) for name in names}
