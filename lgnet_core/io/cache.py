"""Location of the user's cache, for files that are expensive to compute but can be recomputed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "LGNET_CACHE_DIR"
"""Environment variable that overrides the cache directory."""


def cache_directory() -> Path:
    """``$LGNET_CACHE_DIR``, else the platform's cache directory (Linux: ``$XDG_CACHE_HOME`` or ``~/.cache``).

    It may not exist or not be writable: callers then continue without a cache, with a warning.

    Raises:
        FileNotFoundError: there is no home folder, as in containers that run under a user id without a passwd entry.
    """
    try:
        if override := os.environ.get(CACHE_VARIABLE):
            return Path(override).expanduser()
        folder = platformdirs.user_cache_path("lgnet_ros", appauthor=False)
    except RuntimeError:
        folder = Path("~/.cache/lgnet_ros")
    if folder.parts[0] == "~":  # older platformdirs leave it as it is; it is not meant as a folder of that name
        reason = f"there is no home folder, since HOME is not set and user id {os.getuid()} has none"
        raise FileNotFoundError(errno.ENOENT, reason, override or str(folder))
    return folder
