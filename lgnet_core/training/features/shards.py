"""Atomic writing and lazy reading of safetensors shards."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from lgnet_core.io.output import replacing


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


def shard_length(path: Path) -> int:
    """Number of samples in a shard of features; 0 if there is no such file."""
    if not path.is_file():
        return 0
    with safe_open(path, "pt") as shard:
        return int(shard.get_slice("given").get_shape()[0])
