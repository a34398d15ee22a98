"""Build of the messages, and of what CMake installs, by `pip install .`; metadata are in pyproject.toml.

An editable installation has no messages: `make` installs them beside it (tools/ros/install.py). The default wheel
leaves out what only training and evaluation need (EVALUATION_DATA); LGNET_EVALUATION_DATA=1 includes it.
"""

import os
import shutil
import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build import build

ROOT = Path(__file__).resolve().parent
EVALUATION_DATA = (
    "lgnet_core/assets/held_out.npz",
    "lgnet_core/assets/random_hands.npz",
    "lgnet_core/weights/hand_landmark.safetensors",
    "lgnet_core/weights/palm_detector_mediapipe.safetensors",
)
sys.path.insert(0, str(ROOT / "tools" / "ros"))

import interfaces  # noqa: E402
import wheels  # noqa: E402


class BuildWithMessages(build):
    """Builds the Python packages and the generated messages beside them; libraries and share/ go to the prefix."""

    def run(self) -> None:
        shutil.rmtree(self.build_lib, ignore_errors=True)  # pip builds in the checkout: ship nothing stale
        super().run()
        if os.environ.get("LGNET_EVALUATION_DATA", "0") == "0":
            for name in EVALUATION_DATA:
                (Path(self.build_lib) / name).unlink(missing_ok=True)
        work = Path(self.build_temp).resolve() / "messages"
        shutil.rmtree(work, ignore_errors=True)
        self.announce("Building the messages", level=2)
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


class BinaryDistribution(Distribution):
    """Makes the wheel platform-specific, since the messages are compiled."""

    def has_ext_modules(self) -> bool:
        return True


requirements = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]
setup(
    distclass=BinaryDistribution,
    cmdclass={"build": BuildWithMessages},
    install_requires=requirements + wheels.run_requirements(),
    setup_requires=[*wheels.build_requirements(), "numpy>=1.26"],
)
