"""The user's cache, for what takes long to make and can be made again."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_VARIABLE = "LGNET_CACHE_DIR"
"""Environment variable that moves the cache."""


def cache_directory() -> Path:
    """$LGNET_CACHE_DIR, else $XDG_CACHE_HOME/lgnet_ros, else ~/.cache/lgnet_ros."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "lgnet_ros"
