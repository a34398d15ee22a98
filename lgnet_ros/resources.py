"""Package resources: files in share/lgnet_ros and the Fast DDS profile."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
"""Environment variables with the path of Fast DDS's XML profile: since version 3 (ROS 2 Kilted), and before."""

TRANSPORTS_VARIABLE = "FASTDDS_BUILTIN_TRANSPORTS"
"""Selects transports without a profile, e.g. UDPv4 between containers or LARGE_DATA over a network."""


def resource_file(*parts: str) -> Path:
    """Path of a file in share/lgnet_ros, or in the checkout if it is not installed."""
    installed = _share("lgnet_ros").joinpath(*parts)
    return installed if installed.exists() else Path(__file__).resolve().parent.parent.joinpath(*parts)


def fast_dds_environment() -> dict[str, str]:
    """Environment variable that makes Fast DDS load config/fastdds.xml; empty if the user configured it already.

    Only one of the two variables is set: rmw_fastrtps of Kilted also reads the old one, and loading the file twice is
    an error.
    """
    if any(map(os.environ.get, (*PROFILE_VARIABLES, TRANSPORTS_VARIABLE))):
        return {}
    new, old = PROFILE_VARIABLES
    return {new if _share("fastdds").is_dir() else old: str(resource_file("config", "fastdds.xml"))}


def _share(package: str) -> Path:
    """Share directory of a package; it need not exist."""
    try:
        return Path(get_package_share_directory(package))
    except (PackageNotFoundError, OSError):  # ROS 2 from PyPI: no setup file adds the prefix to AMENT_PREFIX_PATH
        return Path(sys.prefix) / "share" / package
