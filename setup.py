"""Metadata live in pyproject.toml. This file has `pip install .` build the messages and ship what CMake installs.

An editable installation ships no messages: `make` lays them beside it (tools/ros/install.py).
"""

import shutil
import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build import build

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "tools" / "ros"))

import interfaces  # noqa: E402
import wheels  # noqa: E402


class BuildWithMessages(build):
    """Builds the Python packages, then lays the generated ones beside them; libraries and share/ go to the prefix."""

    def run(self) -> None:
        shutil.rmtree(self.build_lib, ignore_errors=True)  # pip builds in the checkout: nothing old must be shipped
        super().run()
        work = Path(self.build_temp).resolve() / "messages"
        shutil.rmtree(work, ignore_errors=True)
        self.announce("building the messages", level=2)
        tree = interfaces.build(work)
        python = interfaces.python_folder(tree)
        data: dict[str, list[str]] = {}
        for path in interfaces.files(tree):
            if not path.is_relative_to(python):
                data.setdefault(str(path.parent), []).append(str(tree / path))
                continue
            target = Path(self.build_lib) / path.relative_to(python)
            if not target.exists() and not path.is_relative_to(python / "lgnet_core"):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(tree / path, target)
        self.distribution.data_files = list(data.items())


class WithLibraries(Distribution):
    """A wheel of one platform: the messages are compiled."""

    def has_ext_modules(self) -> bool:
        return True


requirements = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]
setup(
    distclass=WithLibraries,
    cmdclass={"build": BuildWithMessages},
    install_requires=requirements + wheels.run_requirements(),
    setup_requires=[*wheels.build_requirements(), "numpy>=1.26"],
)
