"""Builds the package with colcon in each install layout and tests the installation. Run by ``make colcon-check``.

Uses a temporary virtual environment with ROS 2 from wheels, so it neither needs nor changes a ROS 2 installation.

    python tools/ros/colcon_check.py [--distribution kilted|jazzy] [--python python3.12] [LAYOUT ...]

The node is started, and ``colcon test`` run, only if the Python version is that of the current environment, whose
PyTorch and test tools they then use.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from interfaces import CHECKOUT, TEST_PACKAGES, TF2_MSGS
from processes import clean_environment, run
from wheels import DEFAULT, build_requirements, constraints

# What `colcon test` runs here: tests that publish and receive the generated messages. `make test` runs all of them.
TESTS = "test/ros/output"

LAYOUTS = {"plain": [], "symlink": ["--symlink-install"], "merge": ["--merge-install"]}

# Both halves of lgnet_ros and the library are imported from the installed tree, and messages can be serialised.
TEST_PACKAGE = """
import sys
import lgnet_core, lgnet_ros.process.resources, rclpy
from lgnet_ros.msg import HandMeshArray, __file__ as messages
from ament_index_python import get_package_prefix
from rclpy.serialization import deserialize_message, serialize_message
prefix = get_package_prefix("lgnet_ros")
assert prefix.startswith(sys.argv[1]), prefix
for module in (lgnet_core.__file__, lgnet_ros.__file__, lgnet_ros.process.resources.__file__, messages):
    assert module.startswith(prefix), f"{module} is not in {prefix}"
assert lgnet_ros.process.resources.resource_file("config", "hands.yaml").is_relative_to(prefix)
message = HandMeshArray()
message.header.frame_id = "camera"
assert deserialize_message(serialize_message(message), HandMeshArray) == message
"""

# The node, started like by `ros2 run`, is discovered under its name.
DISCOVER_NODE = """
import rclpy, time
rclpy.init()
node = rclpy.create_node("colcon_check")
end = time.monotonic() + 300
while "hands" not in node.get_node_names():
    assert time.monotonic() < end, f"node hands not discovered within 300 s, only {node.get_node_names()}"
    rclpy.spin_once(node, timeout_sec=0.1)
rclpy.shutdown()
"""


class Workspace:
    """A virtual environment with ROS 2 and colcon, and colcon's build and install folders."""

    def __init__(self, folder: Path, python: str, distribution: str) -> None:
        self.folder = folder
        self.venv = folder / "venv"
        run([python, "-m", "venv", str(self.venv)], clean_environment())
        activate = {"PATH": f"{self.venv / 'bin'}:{os.environ['PATH']}", "VIRTUAL_ENV": str(self.venv)}
        prefix = {"AMENT_PREFIX_PATH": str(self.venv), "CMAKE_PREFIX_PATH": str(self.venv)}
        discovery = {"ROS_DOMAIN_ID": str(os.getpid() % 101 + 1), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        self.environment = clean_environment() | activate | prefix | discovery
        pip = ["python", "-m", "pip", "install", "--quiet"]
        run([*pip, "--upgrade", "pip"], self.environment)
        wheels = build_requirements(distribution)
        run([*pip, f"-c{constraints(distribution)}", *wheels, "numpy", "colcon-common-extensions"], self.environment)

    def share_packages(self) -> bool:
        """Make the packages of the current environment visible in this one, if the Python ABI is the same."""
        script = "import sysconfig; print(sysconfig.get_path('purelib'), sysconfig.get_config_var('SOABI'))"
        site_packages, abi = run(["python", "-c", script], self.environment).split()
        if abi != sysconfig.get_config_var("SOABI"):
            return False
        Path(site_packages, "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
        return True

    def build(self, layout: str) -> Path:
        """Build with colcon and return the install folder."""
        self._colcon(
            layout,
            "build",
            *LAYOUTS[layout],
            "--cmake-args",
            f"-DPYTEST_PATH={TESTS}",
            f"-DPython3_EXECUTABLE={self.venv / 'bin' / 'python'}",
        )
        return self.folder / layout / "install"

    def colcon_test(self, layout: str) -> str:
        """Run :data:`TESTS` with ``colcon test`` and return the summary of ``colcon test-result``."""
        self._colcon(layout, "test", "--packages-select", "lgnet_ros", "--return-code-on-test-failure")
        results = ["colcon", "test-result", "--test-result-base", str(self.folder / layout / "build" / "lgnet_ros")]
        summary = run(results, self.environment).strip()
        if not re.match(r"Summary: [1-9]\d* tests, 0 errors, 0 failures", summary):
            sys.exit(f"`colcon test` ran no tests, or not all passed: {summary}")
        return summary

    def _colcon(self, layout: str, verb: str, *options: str) -> None:
        folder = self.folder / layout
        # The wheels lack tf2_msgs, which every other ROS 2 has, and what rosdep installs for the tests.
        packages = map(str, (CHECKOUT, TF2_MSGS, *TEST_PACKAGES))
        places = ["--base-paths", *packages, "--build-base", str(folder / "build")]
        places += ["--install-base", str(folder / "install"), "--event-handlers", "console_direct+", "status-"]
        run(["colcon", "--log-base", str(folder / "log"), verb, *places, *options], self.environment, cwd=self.folder)

    def test_package(self, install: Path) -> None:
        """Import the installed packages and serialise a message, in a shell that sourced the installation."""
        self._run_sourced(install, 'exec python -c "$0" "$1"', TEST_PACKAGE, str(install))

    def test_node(self, install: Path) -> None:
        """Start the installed node; it must be discovered, and exit with 0 on SIGINT."""
        program = next(install.glob("**/lib/lgnet_ros/hands_node"))
        command = ["bash", "-c", f'source {install}/setup.bash && exec "$0"', str(program)]
        node = subprocess.Popen(command, env=self.environment, cwd=self.folder)
        try:
            self._run_sourced(install, 'exec python -c "$0"', DISCOVER_NODE)
            node.send_signal(signal.SIGINT)
            exit_code = node.wait(60)
        finally:
            node.kill()
        if exit_code:
            sys.exit(f"{program} exited with {exit_code} on SIGINT, expected 0.")

    def _run_sourced(self, install: Path, script: str, *arguments: str) -> None:
        run(["bash", "-c", f"source {install}/setup.bash && {script}", *arguments], self.environment, cwd=self.folder)


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the package with colcon and test the installation.")
    parser.add_argument(
        "--distribution", choices=("kilted", "jazzy"), default=DEFAULT, help="distribution of the wheels"
    )
    parser.add_argument("--python", default=sys.executable, help="Python to build for")
    parser.add_argument("layouts", nargs="*", help="plain, symlink, merge (default: all)")
    arguments = parser.parse_args()
    if unknown := set(arguments.layouts) - set(LAYOUTS):
        parser.error(f"unknown layout {', '.join(sorted(unknown))}; choose from {', '.join(LAYOUTS)}")
    with tempfile.TemporaryDirectory(prefix="colcon-check-") as folder:
        started = time.monotonic()
        print(f"== Installing ROS 2 {arguments.distribution.capitalize()} and colcon temporarily", flush=True)
        workspace = Workspace(Path(folder), arguments.python, arguments.distribution)
        with_node = workspace.share_packages()
        print(f"   done in {time.monotonic() - started:.0f} s", flush=True)
        for layout in arguments.layouts or LAYOUTS:
            started = time.monotonic()
            print(f"== colcon build {' '.join(LAYOUTS[layout])}", flush=True)
            install = workspace.build(layout)
            workspace.test_package(install)
            if with_node:
                workspace.test_node(install)
            tested = "messages, packages and node" if with_node else "messages and packages (no PyTorch for the node)"
            print(f"   passed: {tested}; {time.monotonic() - started:.0f} s", flush=True)
            if with_node:
                started = time.monotonic()
                print(f"== colcon test ({TESTS})", flush=True)
                print(f"   {workspace.colcon_test(layout)}; {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
