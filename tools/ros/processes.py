"""Child processes with a ROS 2 of their own, independent of the one that this process uses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def clean_environment() -> dict[str, str]:
    """The current environment without the variables set by its ROS 2 wheels."""
    excluded = {
        "_ROS_WHEELS_BOOTSTRAP_COMPLETE",
        "LD_LIBRARY_PATH",
        "AMENT_PREFIX_PATH",
        "CMAKE_PREFIX_PATH",
        "PYTHONPATH",
    }
    return {name: value for name, value in os.environ.items() if name not in excluded}


def run(command: list[str], environment: dict[str, str], cwd: Path | None = None) -> str:
    """Run a command and return its output.

    Raises:
        SystemExit: the command failed; the last lines of its output are printed.
    """
    done = subprocess.run(
        command, env=environment, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        print(*done.stdout.splitlines()[-40:], sep="\n", file=sys.stderr)
        sys.exit(f"`{' '.join(command)[:300]}` failed with {done.returncode}; see its output above.")
    return done.stdout
