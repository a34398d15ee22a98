"""Builds the message packages with CMake and lays them into a Python environment.

Two packages: lgnet_ros itself and, only where ROS 2 has none (its wheels), tf2_msgs. colcon needs none of this: it runs
the same CMakeLists.txt by itself. This is for `make`, where the environment holds links to the checkout, and for
`pip install`, which packs a wheel.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from wheels import sourced_ros, wheel_prefixes

CHECKOUT = Path(__file__).resolve().parents[2]
TF2_MSGS = Path(__file__).resolve().parent / "packages" / "tf2_msgs"

# Of an installed tree: nobody sources these in a Python environment, and setuptools installs what concerns pip.
SHELL_HOOKS = ("local_setup.*", "package.dsv", "environment/*")
PACKAGING = ("*.egg-info/*", "__pycache__/*", "*.c")


def build(work: Path) -> Path:
    """Build what has to be built in ``work`` (again only what changed) and return the installed tree, a prefix.

    Raises:
        SystemExit: no CMake, compiler or ROS 2 to build with; what the tools said is printed.
    """
    prefixes = sourced_ros() or wheel_prefixes()
    if not prefixes:
        sys.exit("There is no ROS 2 to build messages with. Run `make`, or source the setup.bash of a ROS 2.")
    if not (shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")):
        sys.exit("Building the messages needs a C++ compiler: on Debian and Ubuntu `sudo apt install g++`.")
    tree = work / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    sources = [CHECKOUT] if has_tf2_msgs(prefixes) else [CHECKOUT, TF2_MSGS]
    for source in sources:
        _cmake(source, work / ("tf2_msgs" if source == TF2_MSGS else "lgnet_ros"), tree, _environment(prefixes))
    return tree


def has_tf2_msgs(prefixes: list[Path]) -> bool:
    """Whether ROS 2 has a tf2_msgs of its own. Ours, from an earlier build, has one message only."""
    return any((p / "share" / "tf2_msgs" / "msg" / "TF2Error.msg").exists() for p in prefixes)


def files(tree: Path) -> list[Path]:
    """The files of an installed tree that belong into a Python environment, relative to it."""
    found = [p.relative_to(tree) for p in sorted(tree.rglob("*")) if not p.is_dir()]
    return [p for p in found if not any(p.match(pattern) for pattern in (*SHELL_HOOKS, *PACKAGING))]


def python_folder(tree: Path) -> Path:
    """Where Python packages lie in an installed tree, relative to it (lib/python3.11/site-packages)."""
    return next(tree.glob("**/*-packages/lgnet_ros/msg")).parents[1].relative_to(tree)


def lay(tree: Path, prefix: Path) -> None:
    """Lay the generated half of the tree into ``prefix``. The package's __init__ there is a link into the checkout.

    What was written by hand stays in the checkout and is edited there; that __init__ finds both halves.
    """
    python = python_folder(tree)
    in_checkout = [python / "lgnet_core", Path("share/lgnet_ros/launch"), Path("share/lgnet_ros/config")]
    for path in files(tree):
        written = path.is_relative_to(python / "lgnet_ros") and (CHECKOUT / path.relative_to(python)).exists()
        if written or any(path.is_relative_to(folder) for folder in in_checkout):
            continue
        target = prefix / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # never overwritten: a running process may have the library mapped
        shutil.copy2(tree / path, target)
    init = prefix / python / "lgnet_ros" / "__init__.py"
    init.unlink(missing_ok=True)
    init.symlink_to(CHECKOUT / "lgnet_ros" / "__init__.py")


def _environment(prefixes: list[Path]) -> dict[str, str]:
    """The variables under which CMake finds ROS 2, and ROS 2's generators their own modules."""
    joined = os.pathsep.join(map(str, prefixes))
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment = os.environ | {"AMENT_PREFIX_PATH": joined, "CMAKE_PREFIX_PATH": joined, "PATH": programs}
    if sourced_ros():
        # pip replaces PYTHONPATH while it builds.
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        modules = [p / lib / version / kind for p in prefixes for lib, kind in _PYTHON_FOLDERS]
        known = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
        environment["PYTHONPATH"] = os.pathsep.join([*known, *(str(p) for p in modules if p.is_dir())])
    environment.setdefault("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 1))
    return environment


_PYTHON_FOLDERS = (("lib", "site-packages"), ("local/lib", "dist-packages"))


def _cmake(source: Path, work: Path, tree: Path, environment: dict[str, str]) -> None:
    """Configure, build and install one package; silent unless it fails."""
    work.mkdir(parents=True, exist_ok=True)
    cmake = shutil.which("cmake", path=environment["PATH"])
    if cmake is None:
        sys.exit("Building the messages needs CMake: `pip install cmake ninja`.")
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
                sys.exit(f"`{' '.join(command)}` failed; its last lines stand above, all of them in {log}.")
