"""Builds the package with colcon in each of its ways and uses what was installed. ``make colcon-check`` runs it.

In a throw-away virtual environment with ROS 2 from wheels, so it needs no ROS 2 of the machine and leaves none behind.

    python tools/ros/colcon_check.py [--distribution kilted|jazzy] [--python python3.12] [WAY ...]

The node itself is started only with the Python of the environment that runs this, whose PyTorch it then borrows.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from interfaces import CHECKOUT
from wheels import DEFAULT, build_requirements, constraints

WAYS = {"plain": [], "symlink": ["--symlink-install"], "merge": ["--merge-install"]}

# Both halves of lgnet_ros and the library come from the installed tree, and a message goes through its type support.
USE = """
import sys
import lgnet_core, lgnet_ros.resources, rclpy
from lgnet_ros.msg import HandMeshArray, __file__ as messages
from ament_index_python import get_package_prefix
from rclpy.serialization import deserialize_message, serialize_message
prefix = get_package_prefix("lgnet_ros")
assert prefix.startswith(sys.argv[1]), prefix
for module in (lgnet_core.__file__, lgnet_ros.__file__, lgnet_ros.resources.__file__, messages):
    assert module.startswith(prefix), f"{module} is not of {prefix}"
assert lgnet_ros.resources.resource_file("config", "hands.yaml").is_relative_to(prefix)
message = HandMeshArray()
message.header.frame_id = "camera"
assert deserialize_message(serialize_message(message), HandMeshArray) == message
"""

# The program, started as `ros2 run` does, shows up under its name.
SEE_NODE = """
import rclpy, time
rclpy.init()
node = rclpy.create_node("colcon_check")
end = time.monotonic() + 30
while "hands" not in node.get_node_names():
    assert time.monotonic() < end, f"no node hands within 30 s, only {node.get_node_names()}"
    rclpy.spin_once(node, timeout_sec=0.1)
rclpy.shutdown()
"""


class Workspace:
    """A virtual environment with ROS 2 and colcon, and the folders that colcon writes."""

    def __init__(self, folder: Path, python: str, distribution: str) -> None:
        self.folder = folder
        self.venv = folder / "venv"
        run([python, "-m", "venv", str(self.venv)], clean_environment())
        own = {"PATH": f"{self.venv / 'bin'}:{os.environ['PATH']}", "VIRTUAL_ENV": str(self.venv)}
        prefix = {"AMENT_PREFIX_PATH": str(self.venv), "CMAKE_PREFIX_PATH": str(self.venv)}
        local = {"ROS_DOMAIN_ID": str(os.getpid() % 101 + 1), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        self.environment = clean_environment() | own | prefix | local
        pip = ["python", "-m", "pip", "install", "--quiet"]
        run([*pip, "--upgrade", "pip"], self.environment)
        wheels = build_requirements(distribution)
        run([*pip, f"-c{constraints(distribution)}", *wheels, "numpy", "colcon-common-extensions"], self.environment)

    def borrow_packages(self) -> bool:
        """See this Python's packages after its own, if it is the same Python."""
        script = "import sysconfig; print(sysconfig.get_path('purelib'), sysconfig.get_config_var('SOABI'))"
        answer = run(["python", "-c", script], self.environment)
        site_packages, abi = answer.split()
        if abi != sysconfig.get_config_var("SOABI"):
            return False
        Path(site_packages, "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
        return True

    def build(self, way: str) -> Path:
        """Run colcon; the folder that it installed into."""
        folder = self.folder / way
        install = folder / "install"
        options = ["--base-paths", str(CHECKOUT), "--build-base", str(folder / "build"), "--install-base", str(install)]
        cmake = ["--cmake-args", "-DBUILD_TESTING=OFF", f"-DPython3_EXECUTABLE={self.venv / 'bin' / 'python'}"]
        quiet = ["--event-handlers", "console_direct+", "status-"]
        command = ["colcon", "--log-base", str(folder / "log"), "build", *options, *WAYS[way], *quiet, *cmake]
        run(command, self.environment, cwd=self.folder)
        return install

    def use(self, install: Path) -> None:
        """Import, serialise and find what was installed, in a shell that sourced it."""
        self._sourced(install, 'exec python -c "$0" "$1"', USE, str(install))

    def start_node(self, install: Path) -> None:
        """The installed program comes up and ends with 0 when it is interrupted."""
        program = next(install.glob("**/lib/lgnet_ros/hands_node"))
        command = ["bash", "-c", f'source {install}/setup.bash && exec "$0"', str(program)]
        node = subprocess.Popen(command, env=self.environment, cwd=self.folder)
        try:
            self._sourced(install, 'exec python -c "$0"', SEE_NODE)
            node.send_signal(signal.SIGINT)
            code = node.wait(10)
        finally:
            node.kill()
        if code:
            sys.exit(f"{program} ended with {code} when it was interrupted, not with 0.")

    def _sourced(self, install: Path, script: str, *arguments: str) -> None:
        run(["bash", "-c", f"source {install}/setup.bash && {script}", *arguments], self.environment, cwd=self.folder)


def clean_environment() -> dict[str, str]:
    """This environment without what ROS 2's wheels of this Python put into it."""
    own = {"_ROS_WHEELS_BOOTSTRAP_COMPLETE", "LD_LIBRARY_PATH", "AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "PYTHONPATH"}
    return {name: value for name, value in os.environ.items() if name not in own}


def run(command: list[str], environment: dict[str, str], cwd: Path | None = None) -> str:
    """Run to the end and return what was printed.

    Raises:
        SystemExit: it failed; the last lines of what it printed are shown.
    """
    done = subprocess.run(
        command, env=environment, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        print(*done.stdout.splitlines()[-40:], sep="\n", file=sys.stderr)
        sys.exit(f"`{' '.join(command)[:300]}` failed with {done.returncode}; its last lines stand above.")
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description="Builds the package with colcon and uses what was installed.")
    parser.add_argument("--distribution", choices=("kilted", "jazzy"), default=DEFAULT, help="which wheels")
    parser.add_argument("--python", default=sys.executable, help="the Python to build for")
    parser.add_argument("ways", nargs="*", help="plain, symlink, merge; all of them if none is named")
    arguments = parser.parse_args()
    if unknown := set(arguments.ways) - set(WAYS):
        parser.error(f"no way is called {', '.join(sorted(unknown))}; there are {', '.join(WAYS)}")
    with tempfile.TemporaryDirectory(prefix="colcon-check-") as folder:
        started = time.monotonic()
        print(f"== ROS 2 {arguments.distribution.capitalize()} and colcon in a throw-away environment", flush=True)
        workspace = Workspace(Path(folder), arguments.python, arguments.distribution)
        with_node = workspace.borrow_packages()
        print(f"   done in {time.monotonic() - started:.0f} s", flush=True)
        for way in arguments.ways or WAYS:
            started = time.monotonic()
            print(f"== colcon build {' '.join(WAYS[way])}", flush=True)
            install = workspace.build(way)
            workspace.use(install)
            if with_node:
                workspace.start_node(install)
            checked = (
                "messages, both packages, the node" if with_node else "messages and both packages (no PyTorch here)"
            )
            print(f"   works: {checked}; {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
