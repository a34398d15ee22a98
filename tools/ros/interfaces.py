"""Builds the message packages with CMake and installs them into a Python environment.

These are lgnet_ros itself and, if ROS 2 does not provide it (its wheels do not), tf2_msgs; for tests also moveit_msgs.
Used by `make`, whose environment has an editable installation, and by `pip install`, which builds a wheel. colcon runs
CMakeLists.txt itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from wheels import sourced_ros, wheel_prefixes

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = Path(__file__).resolve().parent / "packages"
TF2_MSGS = PACKAGES / "tf2_msgs"
TEST_PACKAGES = (PACKAGES / "object_recognition_msgs", PACKAGES / "moveit_msgs")
"""Packages that only tests need, in the order of their dependencies."""

# Excluded from the installed tree: files to be sourced, and packaging metadata, which setuptools installs.
SHELL_HOOKS = ("local_setup.*", "package.dsv", "environment/*")
PACKAGING = ("*.egg-info/*", "__pycache__/*", "*.c")


def check_path() -> None:
    """Check that ROS 2's message generator can handle the path of the checkout. Spaces do not matter.

    Raises:
        SystemExit: it contains characters other than ASCII, at which the generator's CMake files cut it off.
    """
    if not str(CHECKOUT).isascii():
        sys.exit(
            f"ROS 2's message generator fails in {CHECKOUT}, since it cuts off paths at letters such as umlauts. Move "
            "the checkout to a folder with a plain ASCII path (spaces are fine), and run the command again there."
        )


def build(work: Path, for_tests: bool = False) -> Path:
    """Build incrementally in ``work`` and return the install prefix; ``for_tests`` adds :data:`TEST_PACKAGES`.

    Raises:
        SystemExit: CMake, compiler or ROS 2 is missing, the path is unsuitable, or the build failed; its output is
            printed.
    """
    check_path()
    prefixes = sourced_ros() or wheel_prefixes()
    if not prefixes:
        sys.exit("No ROS 2 found to build the messages. Run `make`, or source the setup.bash of a ROS 2 installation.")
    if not (shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")):
        sys.exit("Building the messages requires a C++ compiler: on Debian and Ubuntu `sudo apt install g++`.")
    tree = work / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    sources = [CHECKOUT] if has_tf2_msgs(prefixes) else [CHECKOUT, TF2_MSGS]
    if for_tests and not has_moveit_msgs(prefixes):
        sources += TEST_PACKAGES
    for source in sources:
        name = "lgnet_ros" if source == CHECKOUT else source.name
        _cmake(source, work / name, tree, _environment([tree, *prefixes]))
    return tree


def has_tf2_msgs(prefixes: list[Path]) -> bool:
    """Whether ROS 2 provides tf2_msgs. Ours, from an earlier build, only contains TFMessage."""
    return any((p / "share" / "tf2_msgs" / "msg" / "TF2Error.msg").exists() for p in prefixes)


def has_moveit_msgs(prefixes: list[Path]) -> bool:
    """Whether ROS 2 provides moveit_msgs. Ours only contains CollisionObject."""
    return any((p / "share" / "moveit_msgs" / "msg" / "PlanningScene.msg").exists() for p in prefixes)


def files(tree: Path) -> list[Path]:
    """Files of an installed tree that belong into a Python environment, relative to the tree."""
    found = [p.relative_to(tree) for p in sorted(tree.rglob("*")) if not p.is_dir()]
    return [p for p in found if not any(p.match(pattern) for pattern in (*SHELL_HOOKS, *PACKAGING))]


def python_folder(tree: Path) -> Path:
    """Folder of the Python packages in an installed tree, relative to it (lib/python3.11/site-packages)."""
    return next(tree.glob("**/*-packages/lgnet_ros/msg")).parents[1].relative_to(tree)


def install(tree: Path, prefix: Path) -> None:
    """Copy the generated files of the tree to ``prefix``; link __init__, launch/ and config/ to the checkout.

    The other modules are used from the checkout; __init__ finds both halves of the package. Files are linked one by
    one, since ``ros2 launch`` does not search linked folders. The programs get this Python, so that ``ros2 run`` and
    ``ros2 launch`` start them without an activated environment.
    """
    python, share, programs = python_folder(tree), Path("share/lgnet_ros"), Path("lib/lgnet_ros")
    links = {python / "lgnet_ros" / "__init__.py": CHECKOUT / "lgnet_ros" / "__init__.py"}
    for path in files(tree):
        is_module = path.is_relative_to(python / "lgnet_ros") and (CHECKOUT / path.relative_to(python)).exists()
        if any(path.is_relative_to(share / folder) for folder in ("launch", "config")):
            links[path] = CHECKOUT / path.relative_to(share)
        elif not is_module and not path.is_relative_to(python / "lgnet_core"):
            shutil.copy2(tree / path, _make_room(prefix / path))
            if path.is_relative_to(programs):
                program = prefix / path
                program.write_text(with_interpreter(program.read_text(), sys.executable))
    for path, target in links.items():
        _make_room(prefix / path).symlink_to(target)


def with_interpreter(program: str, interpreter: str) -> str:
    """Replace the first line of a Python program so that an interpreter with any path runs it, which ``#!`` does not.

    The shell executes the first of the quoted lines; to Python they are a string.
    """
    return f"#!/bin/sh\n'''exec' \"{interpreter}\" \"$0\" \"$@\"\n' '''\n" + program.partition("\n")[2]


def _make_room(target: Path) -> Path:
    """Remove a file that is replaced, not overwritten: a running process may have the library mapped."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    return target


def _environment(prefixes: list[Path]) -> dict[str, str]:
    """Environment in which CMake finds ROS 2, and the generators of ROS 2 find their Python modules."""
    joined = os.pathsep.join(map(str, prefixes))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment = os.environ | {"AMENT_PREFIX_PATH": joined, "CMAKE_PREFIX_PATH": joined, "PATH": path}
    if sourced_ros():
        # pip overrides PYTHONPATH during builds.
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        folders = [p / lib / version / kind for p in prefixes for lib, kind in _PYTHON_FOLDERS]
        existing = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
        environment["PYTHONPATH"] = os.pathsep.join([*existing, *(str(p) for p in folders if p.is_dir())])
    environment.setdefault("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 1))
    return environment


_PYTHON_FOLDERS = (("lib", "site-packages"), ("local/lib", "dist-packages"))


def _cmake(source: Path, work: Path, tree: Path, environment: dict[str, str]) -> None:
    """Configure, build and install one package; silent unless it fails."""
    work.mkdir(parents=True, exist_ok=True)
    cmake = shutil.which("cmake", path=environment["PATH"])
    if cmake is None:
        sys.exit("Building the messages requires CMake: `pip install cmake ninja`.")
    options = ("-DBUILD_TESTING=OFF", f"-DCMAKE_INSTALL_PREFIX={tree}", f"-DPython3_EXECUTABLE={sys.executable}")
    commands = (
        [cmake, "-S", str(source), "-B", str(work), "-G", "Ninja", *options],
        [cmake, "--build", str(work)],
        [cmake, "--install", str(work)],
    )
    log = work / "build.log"
    with log.open("w") as output:
        for command in commands:
            if subprocess.run(command, env=environment, stdout=output, stderr=subprocess.STDOUT).returncode:
                print(*log.read_text().splitlines()[-40:], sep="\n", file=sys.stderr)
                sys.exit(f"`{' '.join(command)}` failed; see its output above, or all of it in {log}.")
