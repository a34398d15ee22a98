"""Package resources: files in share/lgnet_ros and the Fast DDS profile."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import ament_index_python

PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
"""Environment variables with the path of Fast DDS's XML profile: since version 3 (ROS 2 Kilted), and before."""

TRANSPORTS_VARIABLE = "FASTDDS_BUILTIN_TRANSPORTS"
"""Selects transports without a profile, e.g. UDPv4 between containers or LARGE_DATA over a network."""


def resource_file(*parts: str) -> Path:
    """Path of a file in share/lgnet_ros, or in the checkout if it is not installed."""
    checkout = Path(__file__).resolve().parents[2]
    candidates = [*(prefix / "share" / "lgnet_ros" for prefix in _prefixes()), checkout]
    return next((path for c in candidates if (path := c.joinpath(*parts)).exists()), checkout.joinpath(*parts))


def fast_dds_environment() -> dict[str, str]:
    """Environment variable that makes Fast DDS load config/fastdds.xml; empty if the user configured it already.

    Only one of the two variables is set: rmw_fastrtps of Kilted also reads the old one, and loading the file twice is
    an error.
    """
    if any(map(os.environ.get, (*PROFILE_VARIABLES, TRANSPORTS_VARIABLE))):
        return {}
    new, old = PROFILE_VARIABLES
    has_version_3 = any((prefix / "share" / "fastdds").is_dir() for prefix in _prefixes())
    return {new if has_version_3 else old: str(resource_file("config", "fastdds.xml"))}


def _prefixes() -> list[Path]:
    """Prefixes of the installed packages: sourced ones first, then those of ROS 2 from PyPI, which has no setup file.

    The latter are the prefix of this Python and, if its packages are shared with another environment, that one.
    """
    sourced = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    wheels = [str(Path(file).parents[4])] if (file := ament_index_python.__file__) else []
    return [Path(prefix) for prefix in dict.fromkeys([*sourced, sys.prefix, *wheels]) if prefix]
