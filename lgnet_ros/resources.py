"""Files that lie beside the code: configuration that the programs and the launch file give to others."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
"""Where Fast DDS looks for its profiles: from version 3 (ROS 2 Kilted) on, and before."""

TRANSPORTS_VARIABLE = "FASTDDS_BUILTIN_TRANSPORTS"
"""By which a user chooses transports without a profile: UDPv4 between containers, LARGE_DATA over a network."""


def resource_file(*parts: str) -> Path:
    """A file of share/lgnet_ros, or of the checkout where that is not installed."""
    installed = _share("lgnet_ros").joinpath(*parts)
    return installed if installed.exists() else Path(__file__).resolve().parent.parent.joinpath(*parts)


def fast_dds_profile() -> dict[str, str]:
    """Environment that has Fast DDS read config/fastdds.xml; empty if the user chose a profile, or transports.

    One variable and not both: rmw_fastrtps of Kilted reads the old one too, and the file twice is an error.
    """
    if any(map(os.environ.get, (*PROFILE_VARIABLES, TRANSPORTS_VARIABLE))):
        return {}
    new, old = PROFILE_VARIABLES
    return {new if _share("fastdds").is_dir() else old: str(resource_file("config", "fastdds.xml"))}


def _share(package: str) -> Path:
    """The package's share folder, which need not exist."""
    try:
        return Path(get_package_share_directory(package))
    except (PackageNotFoundError, OSError):  # ROS by pip: no setup file names the prefix in AMENT_PREFIX_PATH
        return Path(sys.prefix) / "share" / package
