"""Programs under observation: a home folder of their own, and a log of all that they ask of the network."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from lgnet_core.io.cache import CACHE_VARIABLE, cache_directory
from support.paths import ROOT

SOURCE = Path(__file__).with_name("network_log.c")

KEPT_VARIABLES = ("PATH", "LANG", "LD_LIBRARY_PATH", "AMENT_PREFIX_PATH", "PYTHONPATH", "RMW_IMPLEMENTATION")
"""Variables of this environment that observed programs get. All others might silence what is observed: ONNX Runtime
sends nothing where it finds the variables of a CI service, and this process has already imported ``lgnet_core``."""

LOCAL_FOLDERS = (".ros/log/", ".cache/matplotlib/", ".config/matplotlib/")
"""Below the home folder: ROS 2's logs and Matplotlib's list of the fonts; neither is sent."""


class ObservedPrograms:
    """Environment of the programs, and what they did in it.

    Args:
        folder: empty; gets the home folder and the log.
        library: see :func:`build_library`.
    """

    def __init__(self, folder: Path, library: Path) -> None:
        self.home, self._log = folder / "home", folder / "network.log"
        self.home.mkdir()
        self.environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ} | {
            "HOME": str(self.home),
            CACHE_VARIABLE: str(cache_directory()),  # the exports of earlier tests, since exporting takes long
            "PYTHONPATH": os.pathsep.join(
                [str(ROOT), str(ROOT / "test"), *filter(None, [os.environ.get("PYTHONPATH")])]
            ),
            "LD_PRELOAD": str(library),
            "NETWORK_LOG": str(self._log),
        }

    def network_use(self) -> set[str]:
        """``lookup NAME`` and ``send ADDRESS`` for names and addresses outside this machine."""
        lines = set(self._log.read_text().splitlines()) if self._log.exists() else set()
        return {line for line in lines if not line.startswith(("send 127.", "send ::1", "send ::ffff:127."))}

    def foreign_files(self) -> list[str]:
        """Files in the home folder other than those of :data:`LOCAL_FOLDERS`."""
        names = [str(path.relative_to(self.home)) for path in self.home.rglob("*") if not path.is_dir()]
        return sorted(name for name in names if not name.startswith(LOCAL_FOLDERS))


def build_library(folder: Path) -> Path:
    """Compile the library that logs network calls, with the compiler that the messages are built with."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    assert compiler, "no C compiler, which building the messages requires too: on Debian and Ubuntu, apt install g++"
    library = folder / "network_log.so"
    command = [compiler, "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o", library, SOURCE, "-ldl"]
    subprocess.run([str(part) for part in command], check=True)
    return library
