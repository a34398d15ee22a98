"""The whole system on one machine, without a camera: camera, node and listener in processes of their own."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lgnet_ros.resources import fast_dds_profile

DOMAINS = range(1, 102)  # those whose ports Linux does not hand out to others
END_SECONDS = 10.0


def run_demo(
    out: Path, seconds: float = 10.0, node_arguments: Sequence[str] = (), remappings: Sequence[str] = ()
) -> int:
    """Play the bundled clip to the node and listen to it; 0 if everything worked.

    Nothing leaves this machine, and no other ROS system on it is disturbed: discovery is limited to the local host and
    the domain is drawn at random.

    Args:
        out: folder for the listener's images.
        seconds: how long to count what arrives.
        node_arguments: of ``lgnet-hands``.
        remappings: ROS arguments of these that hold for camera and listener too.
    """
    if out.exists() and not out.is_dir():
        print(f"{out} is no folder: the demo writes its images into one.", file=sys.stderr)
        return 1
    environment = {
        **os.environ,
        **fast_dds_profile(),
        "ROS_DOMAIN_ID": str(random.choice(DOMAINS)),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }

    def start(module: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"lgnet_ros.{module}", *arguments]
        # A terminal's Ctrl-C goes to this process alone, which then ends the others in order.
        return subprocess.Popen(command, env=environment, start_new_session=True)

    beside_node = ["--ros-args", *remappings]
    listening = [*beside_node, "-p", f"out:={out}", "-p", f"seconds:={float(seconds)}"]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of the finally below, which ends the children
    processes = {
        "camera": start("demo_camera", *beside_node),
        "node": start("hands_cli", *node_arguments),
        "listener": start("demo_listener", *listening),
    }
    try:
        failed = _wait_for_listener(processes)
    finally:
        codes = {name: _end(process) for name, process in processes.items()}
    for name, code in codes.items():
        if code:
            print(f"The {name} ended with exit code {code}.", file=sys.stderr)
    return int(failed or any(codes.values()))


def _wait_for_listener(processes: dict[str, subprocess.Popen[bytes]]) -> bool:
    """Until the listener is done; True if another process ended before it."""
    listener = processes["listener"]
    while listener.poll() is None:
        if any(process.poll() is not None for process in processes.values() if process is not listener):
            return True
        time.sleep(0.1)
    return False


def _end(process: subprocess.Popen[bytes]) -> int:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        return process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
