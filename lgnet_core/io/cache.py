"""Location of the user's cache, for files that are expensive to compute but can be recomputed."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "LGNET_CACHE_DIR"
"""Environment variable that overrides the cache directory."""


def cache_directory() -> Path:
    """``$LGNET_CACHE_DIR``, else the platform's cache directory (Linux: ``$XDG_CACHE_HOME`` or ``~/.cache``)."""
    if override := os.environ.get(CACHE_VARIABLE):
        return Path(override).expanduser()
    return platformdirs.user_cache_path("lgnet_ros", appauthor=False)
