"""Builds a wheel for each Python that is found, installs it into fresh environments, and runs its programs there.

    python tools/ros/try_wheels.py [--out FOLDER] [PYTHON ...]

Run by ``make wheels``. Each Python is tried with ROS 2 from PyPI, which the wheel then requires, and beside a sourced
ROS 2: the same wheels, in an environment of their own that contains nothing else, announced by the variables that a
setup.bash sets. Environments are temporary; wheels and pictures stay in the folder.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from interfaces import CHECKOUT
from processes import clean_environment, run
from wheels import build_requirements, constraints

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
TIMEOUT = 300.0  # seconds until a page that does not appear is a failure

WAYS = ("pypi", "sourced")
"""Origins of ROS 2."""

WRITE_FRAME = """
import sys
import cv2
from lgnet_core.data.clip import read_clip
cv2.imwrite(sys.argv[1], read_clip().frames[0][..., ::-1])
"""

# Packages that a sourced ROS 2 takes from the system, which virtual environments do not see. Python packages that are
# part of a wheel of ROS 2 have no RECORD of their own.
OTHER_PACKAGES = """
import importlib.metadata
for package in importlib.metadata.distributions():
    if package.read_text("RECORD") and not package.name.startswith("ros"):
        print(package.name)
"""


def find_pythons() -> list[str]:
    """An interpreter for each of :data:`PYTHONS` that this machine has: on the path, or installed by pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = []
    for version in PYTHONS:
        candidates = [shutil.which(f"python{version}"), *map(str, sorted(pyenv.glob(f"{version}.*/bin/python")))]
        found += [python for python in candidates if python and version_of(python) == version][:1]
    return found


def version_of(python: str) -> str | None:
    """Version of an interpreter that can create environments, as 3.12; None for others, such as pyenv's shims."""
    script = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", script], env=clean_environment(), capture_output=True, text=True)
    return done.stdout.strip() or None


class Environment:
    """A virtual environment in which commands run without this checkout."""

    def __init__(self, folder: Path, python: str, variables: dict[str, str]) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        run([python, "-m", "venv", str(folder)], clean_environment())
        variables = {**variables, "PATH": f"{self.bin}:{os.environ['PATH']}", "VIRTUAL_ENV": str(folder)}
        self.variables = {**clean_environment(), **variables}
        self.pip("install", "--upgrade", "pip")

    def run(self, program: str, *arguments: object) -> str:
        return run([str(self.bin / program), *map(str, arguments)], self.variables, cwd=self.folder)

    def pip(self, command: str, *arguments: object) -> None:
        self.run("python", "-m", "pip", command, "--quiet", *arguments)


def build_wheel(environment: Environment, checkout: Path, out: Path, *options: str) -> Path:
    """Build a wheel of a checkout into an empty folder."""
    shutil.rmtree(out, ignore_errors=True)
    environment.pip("wheel", "--no-deps", "--wheel-dir", out, *options, checkout)
    (wheel,) = out.glob("*.whl")
    return wheel


def source(ros: Environment) -> dict[str, str]:
    """Keep nothing but ROS 2 in an environment, and return the variables that sourcing it would set."""
    ros.pip("uninstall", "--yes", *ros.run("python", "-c", OTHER_PACKAGES).split())
    (packages,) = ros.folder.glob("lib/python3*/site-packages")
    for path in packages.glob("*.pth"):
        path.unlink()
    libraries = [ros.folder / "lib", *packages.glob("*.libs")]
    return {
        "AMENT_PREFIX_PATH": str(ros.folder),
        "CMAKE_PREFIX_PATH": str(ros.folder),
        "PYTHONPATH": str(packages),
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
    }


def try_programs(environment: Environment, wheel: Path, out: Path) -> str:
    """Install a wheel and run its programs; return the measured sizes, as cells of the table.

    Raises:
        SystemExit: a program failed, or did not find the two hands of the bundled clip.
    """
    environment.pip("install", wheel)
    environment.run("python", "-I", "-m", "pip", "check")  # without the packages of a sourced ROS 2
    measured = environment.run("python", CHECKOUT / "tools" / "benchmarks" / "measure_install.py")
    environment.run("python", "-c", "import lgnet_core")
    environment.run("lgnet", "check", "--full")
    frame = environment.folder / "frame.png"
    environment.run("python", "-c", WRITE_FRAME, frame)
    require("1 right, 1 left", environment.run("lgnet", "predict", frame, "--fov", "60", "--out", out / "predict"))
    environment.run("lgnet", "urdf", "right", "--out", out / "right.urdf")
    require("right and left hand detected", environment.run("lgnet-hands", "--demo", out / "node"))
    environment.pip("install", f"{wheel}[live]")
    try_page(environment)
    megabytes, memory = re.findall(r"environment: (\d+) MB|peak memory (\d+) MB", measured)
    return f"{wheel.stat().st_size / 1e6:.1f} MB | {megabytes[0]} MB | {memory[1]} MB"


def try_page(environment: Environment) -> None:
    """`lgnet live` serves its page, and Ctrl-C ends it."""
    log = environment.folder / "live.log"
    with log.open("w") as output:
        command = [str(environment.bin / "lgnet"), "live", "--demo", "--port", "0"]
        page = subprocess.Popen(
            command, env=environment.variables, cwd=environment.folder, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            end = time.monotonic() + TIMEOUT
            while not (address := re.search(r"open (http://127\.0\.0\.1:\d+/)", log.read_text())):
                if page.poll() is not None or time.monotonic() > end:
                    sys.exit(f"`lgnet live` shows no page:\n{log.read_text()}")
                time.sleep(0.1)
            with urllib.request.urlopen(address[1]) as response:
                require("<html", response.read().decode())
            page.send_signal(signal.SIGINT)
            if page.wait(TIMEOUT) != 128 + signal.SIGINT:
                sys.exit(f"`lgnet live` exited with {page.returncode} on Ctrl-C:\n{log.read_text()}")
        except subprocess.TimeoutExpired:
            sys.exit(f"`lgnet live` does not end on Ctrl-C:\n{log.read_text()}")
        finally:
            page.kill()
            page.wait()


def require(expected: str, output: str) -> None:
    """Check that an output, whose lines may be wrapped, contains a text.

    Raises:
        SystemExit: it does not.
    """
    if expected not in " ".join(output.split()):
        sys.exit(f"expected `{expected}` in this output:\n{output}")


def try_python(python: str, checkout: Path, folder: Path, out: Path) -> list[str]:
    """Try one Python in both ways; return a row of the table for each."""
    version = version_of(python)
    ros = Environment(folder / "ros", python, {})
    ros.pip("install", "--upgrade", "setuptools", "numpy", f"-c{constraints()}", *build_requirements())
    rows = []
    for way in WAYS:
        place = out / f"{version}-{way}"
        started = time.monotonic()
        print(f"== Python {version}, ROS 2 {way}", flush=True)
        environment = Environment(folder / way, python, source(ros) if way == "sourced" else {})
        try:
            if way == "sourced":
                wheel = build_wheel(environment, checkout, place)
            else:  # what pip would install into an environment for the build is in that of ROS 2
                wheel = build_wheel(ros, checkout, place, "--no-build-isolation")
            cells = try_programs(environment, wheel, place)
        except SystemExit as error:
            print(error, file=sys.stderr)
            cells = "failed | |"
        rows.append(f"| {version} | {way} | {cells} |")
        print(f"   {cells}; {time.monotonic() - started:.0f} s", flush=True)
        shutil.rmtree(environment.folder)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Build a wheel for each Python and try it in fresh environments.")
    parser.add_argument("--out", type=Path, default=CHECKOUT / "out" / "wheels", help="folder for wheels and pictures")
    parser.add_argument("pythons", nargs="*", help="interpreters (default: 3.10 to 3.13 as far as they are found)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and so would pages
    rows = ["| Python | ROS 2 | wheel | environment | peak memory |", "|---|---|---|---|---|"]
    for python in arguments.pythons or find_pythons():
        with tempfile.TemporaryDirectory(prefix="try-wheels-") as folder:
            left_out = shutil.ignore_patterns(".*", "build", "out", "runs", "*.egg-info", "__pycache__")
            checkout = shutil.copytree(CHECKOUT, Path(folder) / "checkout", ignore=left_out)
            rows += try_python(python, checkout, Path(folder), arguments.out.resolve())
    print(*rows, sep="\n")
    sys.exit(any("failed" in row for row in rows))


if __name__ == "__main__":
    main()
