"""Installs all requirements, lgnet_ros (editable) and its messages into this virtual environment. Used by ``make``.

A sourced ROS 2 is used if there is one; otherwise ROS 2 is installed from pinned wheels on PyPI.

    python tools/ros/install.py requirements [EXTRA]    install requirements and lgnet_ros
    python tools/ros/install.py messages                build and install the messages
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from interfaces import CHECKOUT, build, install
from wheels import DEFAULT, build_requirements, constraints, sourced_ros


def install_requirements(extra: str | None) -> None:
    """Install all packages in one call of pip, so that their versions are compatible."""
    check_python()
    constraint_files = [CHECKOUT / "constraints.txt"]
    if sourced_ros():
        log(f"== Installing requirements for the sourced ROS 2 {os.environ.get('ROS_DISTRO', '')} (about two minutes)")
    else:
        log(f"== Installing requirements and ROS 2 {DEFAULT.capitalize()} from wheels (about two minutes)")
        constraint_files.append(constraints(DEFAULT))
    package = f"{CHECKOUT}[{extra}]" if extra else str(CHECKOUT)
    options = [f"--constraint={path}" for path in constraint_files]
    pip(*options, "--no-build-isolation", *build_requirements(), "--editable", package)


def install_messages() -> None:
    """Build the message packages incrementally and install them, with those that tests need."""
    log("== Building the messages (about a minute)")
    work = CHECKOUT / "build" / f"messages-{sysconfig.get_config_var('SOABI')}"
    install(build(work, for_tests=True), Path(sys.prefix))


def check_python() -> None:
    """Check that this is a virtual environment of the Python version that a sourced ROS 2 requires.

    Raises:
        SystemExit: it is not; with the command to run instead.
    """
    if sys.prefix == sys.base_prefix:
        sys.exit("Not in a virtual environment: run this with the Python of one, or run `make`.")
    if sourced_ros() and importlib.util.find_spec("rclpy") is None:
        sys.exit(
            f"The sourced ROS 2 {os.environ.get('ROS_DISTRO', '')} does not support this Python version "
            f"({sys.version.split()[0]}). Either run `make clean` and then `make PYTHON=/usr/bin/python3`, or run make "
            "in a shell without a sourced ROS 2, which installs ROS 2 from wheels."
        )


def pip(*arguments: str) -> None:
    """Run ``pip install``, logging only large downloads and the number of installed packages.

    Raises:
        SystemExit: pip failed; its last lines are printed.
    """
    command = [sys.executable, "-m", "pip", "install", "--progress-bar=off", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.rstrip())
        if size := re.search(r"Downloading .*?([\w.+-]+\.whl).*\((\d{2,}(?:\.\d+)? MB|[\d.]+ GB)\)", line):
            log(f"   {size[1].split('-')[0]} ({size[2]})")
        elif line.startswith("Installing collected packages:"):
            log(f"   {line.count(',') + 1} packages to install")
    if process.wait():
        print(*lines[-25:], sep="\n", file=sys.stderr)
        sys.exit(f"`{' '.join(command)}` failed; see its output above.")


def log(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Install requirements or messages into this virtual environment.")
    parser.add_argument("what", choices=("requirements", "messages"))
    parser.add_argument("extra", nargs="?", help="an extra of pyproject.toml, such as dev")
    arguments = parser.parse_args()
    started = time.monotonic()
    if arguments.what == "requirements":
        install_requirements(arguments.extra)
    else:
        install_messages()
    log(f"   done in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
