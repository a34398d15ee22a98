"""Atomic writing and lazy reading of safetensors shards."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lgnet_core.io.files import InputError


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
    """Write a shard through a temporary file, so that an interrupted write leaves no truncated shard.

    Raises:
        InputError: if the folder is not writable or the disk is full, or a folder has the name of the file.
    """
    partial = path.with_suffix(".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial)
        partial.rename(path)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise InputError(
            f"{path}: cannot be written ({getattr(error, 'strerror', None) or error}); the features of the images are "
            "cached there: make room and the folder writable, or copy the images to another disk"
        ) from error


def shard_length(path: Path) -> int:
    """Number of samples in a shard of features; 0 if there is no such file."""
    if not path.is_file():
        return 0
    with safe_open(path, "pt") as shard:
        return int(shard.get_slice("given").get_shape()[0])
