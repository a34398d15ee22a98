"""Resolves the requirements anew and writes constraints.txt. Run by ``make pins``.

    python tools/ros/refresh_pins.py [--keep] [--output constraints.txt]

The newest versions that Python 3.11 can have, of all extras but "assets", compatible with the wheels of ROS 2, which
keep their versions. What Python 3.10 cannot have is free there. ``--keep`` keeps present versions as far as possible:
for a requirement that was added or removed.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

from interfaces import CHECKOUT
from processes import clean_environment, run
from wheels import constraints

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OLDEST, TESTED = "3.10", "3.11"

PLATFORM = "x86_64-manylinux_2_28"

OF_CUDA = re.compile(r"nvidia-|cuda-|triton$")
"""What only PyTorch's builds for CUDA require, which pin it themselves; the tested set has the build for CPUs."""

HEADER = """\
# The tested set (CPU, Python 3.11, Linux x86-64); `make` installs with it. Refresh: `make pins`, then `.ci/run`.
# Versions that Python 3.10 (Ubuntu 22.04) cannot have are free there. The extra
# "assets", whose tools rebuild bundled files, is not part of it.
"""


def requirements() -> list[str]:
    """The requirements of inference and of all extras that the tested set has."""
    lines = (CHECKOUT / "requirements.txt").read_text().splitlines()
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    extras = {name: names for name, names in project["optional-dependencies"].items() if name != "assets"}
    lines += [line for names in extras.values() for line in names if not line.startswith(project["name"])]
    return [line for line in lines if line and line[0] != "#"]


def pins(text: str) -> dict[str, str]:
    """Version of each package, by its normalized name."""
    found = re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def resolve(uv: Path, python: str, present: dict[str, str], folder: Path) -> dict[str, str]:
    """Versions that a Python can have together; those that are present are kept if they are allowed."""
    wanted, result = folder / "requirements.in", folder / f"{python}.txt"
    wanted.write_text("\n".join(requirements()))
    result.write_text("".join(f"{name}=={version}\n" for name, version in present.items()))
    options = ["--python-version", python, "--python-platform", PLATFORM, "--constraints", str(constraints())]
    plain = ["--no-header", "--no-annotate", "--no-emit-package=setuptools", "--quiet"]
    run([str(uv), "pip", "compile", *options, *plain, f"--output-file={result}", str(wanted)], clean_environment())
    return {name: version for name, version in pins(result.read_text()).items() if not OF_CUDA.match(name)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the newest versions of all requirements to constraints.txt.")
    parser.add_argument("--keep", action="store_true", help="keep the present versions, add and remove packages only")
    parser.add_argument("--output", type=Path, default=CHECKOUT / "constraints.txt", help="file to write")
    arguments = parser.parse_args()
    present = pins((CHECKOUT / "constraints.txt").read_text())
    with tempfile.TemporaryDirectory(prefix="refresh-pins-") as folder:
        tools = Path(folder) / "tools"
        run([sys.executable, "-m", "venv", str(tools)], clean_environment())
        run([str(tools / "bin" / "pip"), "install", "--quiet", "uv"], clean_environment())
        kept = present if arguments.keep else {}
        tested, oldest = (resolve(tools / "bin" / "uv", python, kept, Path(folder)) for python in (TESTED, OLDEST))
    lines = [
        f"{name}=={version}" + ("" if oldest.get(name) == version else f'; python_version >= "{TESTED}"')
        for name, version in sorted(tested.items())
    ]
    arguments.output.write_text(HEADER + "\n".join(lines) + "\n")
    for name in sorted(present | tested, key=str):
        if present.get(name) != tested.get(name):
            print(f"{name}: {present.get(name, 'new')} -> {tested.get(name, 'removed')}")


if __name__ == "__main__":
    main()
