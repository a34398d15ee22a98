"""Demo of the complete system: camera, node and listener, each in its own process."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from lgnet_core.io.output import make_folder
from lgnet_ros.process.resources import fast_dds_environment

DOMAINS = range(1, 102)  # domain ids whose ports are below Linux's ephemeral port range
SHUTDOWN_TIMEOUT = 10.0  # seconds until a process that ignores SIGTERM is killed


def run_demo(
    out: Path,
    seconds: float = 10.0,
    node_arguments: Sequence[str] = (),
    remappings: Sequence[str] = (),
    depth: bool = False,
) -> int:
    """Run the node on the bundled clip and receive its outputs; return the exit code.

    Discovery is limited to the local host and the domain id is random, so no other ROS system is affected.

    Args:
        out: folder for the listener's images.
        seconds: duration of the measurement.
        node_arguments: arguments of ``lgnet-hands``.
        remappings: ROS arguments among these that also apply to camera and listener.
        depth: whether the camera publishes depth images.

    Returns:
        0, or 1 if a process failed; 130 after Ctrl-C and 143 after SIGTERM, with all processes stopped.

    Raises:
        OutputError: if ``out`` is not a folder that can be written to.
    """
    make_folder(out)
    environment = {
        **os.environ,
        **fast_dds_environment(),
        "ROS_DOMAIN_ID": str(random.choice(DOMAINS)),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }

    def start(module: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"lgnet_ros.{module}", *arguments]
        # In a new session, so that Ctrl-C only reaches this process, which then stops the others in order.
        return subprocess.Popen(command, env=environment, start_new_session=True)

    ros_arguments = ["--ros-args", *remappings]
    listener_arguments = [*ros_arguments, "-p", f"out:={out}", "-p", f"seconds:={float(seconds)}"]
    signal.signal(signal.SIGTERM, _raise_terminated)  # runs the finally clause below, which stops the processes
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        processes["camera"] = start("demo.camera", *ros_arguments, "-p", f"depth:={str(depth).lower()}")
        processes["node"] = start("cli", *node_arguments)
        processes["listener"] = start("demo.listener", *listener_arguments)
        failed = _wait_for_listener(processes)
    except KeyboardInterrupt as error:
        print(f"lgnet-hands: the demo was stopped before it wrote images to {out}; start it again", file=sys.stderr)
        return 128 + (signal.SIGTERM if isinstance(error, _Terminated) else signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # an impatient second Ctrl-C must not leave processes behind
        for process in processes.values():
            if process.poll() is None:
                process.terminate()  # without the traceback that SIGINT causes while libraries are imported
        exit_codes = {name: _wait(process) for name, process in processes.items()}
    for name, exit_code in exit_codes.items():
        if exit_code:
            print(f"The {name} process exited with code {exit_code}.", file=sys.stderr)
    return int(failed or any(exit_codes.values()))


class _Terminated(KeyboardInterrupt):
    """SIGTERM was received."""


def _raise_terminated(*_: object) -> NoReturn:
    raise _Terminated


def _wait_for_listener(processes: dict[str, subprocess.Popen[bytes]]) -> bool:
    """Wait until the listener ends; True if another process ended before it."""
    listener = processes["listener"]
    while listener.poll() is None:
        if any(process.poll() is not None for process in processes.values() if process is not listener):
            return True
        time.sleep(0.1)
    return False


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for a terminated process and return its exit code."""
    try:
        return process.wait(SHUTDOWN_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
