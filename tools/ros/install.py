"""Fills this virtual environment: PyTorch, ROS 2 and the rest, lgnet_ros itself and its messages. ``make`` runs it.

A ROS 2 that the shell sourced is used as it is. Where there is none, pinned wheels from PyPI make one.

    python tools/ros/install.py requirements [EXTRA]    the packages; lgnet_ros as links to the checkout
    python tools/ros/install.py messages                built, and laid into the environment
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

from interfaces import CHECKOUT, build, lay
from wheels import DEFAULT, build_requirements, constraints, sourced_ros


def install_requirements(extra: str | None) -> None:
    """Everything that comes as a package, by one call of pip so that its versions agree."""
    check_python()
    limits = [CHECKOUT / "constraints.txt"]
    ros = f"beside the sourced ROS 2 {os.environ.get('ROS_DISTRO', '')}".strip()
    if not sourced_ros():
        ros = f"ROS 2 {DEFAULT.capitalize()} from wheels"
        limits.append(constraints(DEFAULT))
    say(f"== Installing PyTorch, {ros}, and the rest (about two minutes the first time)")
    itself = f"{CHECKOUT}[{extra}]" if extra else str(CHECKOUT)
    options = [f"--constraint={path}" for path in limits]
    pip(*options, "--no-build-isolation", *build_requirements(), "--editable", itself)


def install_messages() -> None:
    """Both message packages; again only what changed."""
    say("== Building the messages (half a minute the first time)")
    lay(build(CHECKOUT / "build" / f"messages-{sysconfig.get_config_var('SOABI')}"), Path(sys.prefix))


def check_python() -> None:
    """A virtual environment, of the Python that a sourced ROS 2 is made for.

    Raises:
        SystemExit: it is not; says what to run instead.
    """
    if sys.prefix == sys.base_prefix:
        sys.exit("This installs into a virtual environment: run it with that environment's Python, or run `make`.")
    if sourced_ros() and importlib.util.find_spec("rclpy") is None:
        sys.exit(
            f"The sourced ROS 2 {os.environ.get('ROS_DISTRO', '')} is made for another Python than this one "
            f"({sys.version.split()[0]}). Either `make clean` and then `make PYTHON=/usr/bin/python3`, or run make in "
            "a shell in which no ROS 2 is sourced; it then installs one from wheels."
        )


def pip(*arguments: str) -> None:
    """Run ``pip install``, telling of it only the large downloads and what it installs in the end.

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
            say(f"   {size[1].split('-')[0]} ({size[2]})")
        elif line.startswith("Installing collected packages:"):
            say(f"   {line.count(',') + 1} packages to install")
    if process.wait():
        print(*lines[-25:], sep="\n", file=sys.stderr)
        sys.exit(f"`{' '.join(command)}` failed; its last lines stand above.")


def say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Fills this virtual environment.")
    parser.add_argument("what", choices=("requirements", "messages"))
    parser.add_argument("extra", nargs="?", help="an extra of pyproject.toml, such as dev")
    arguments = parser.parse_args()
    started = time.monotonic()
    if arguments.what == "requirements":
        install_requirements(arguments.extra)
    else:
        install_messages()
    say(f"   done in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
