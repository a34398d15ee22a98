"""The Makefile: what it refuses before it downloads anything, and paths with spaces."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT

FILES = (
    "Makefile", "pyproject.toml", "setup.py", "requirements.txt", "constraints.txt", "CMakeLists.txt", "package.xml"
)  # fmt: skip


def copy_makefile(checkout: Path) -> Path:
    """A checkout with the Makefile and the files that it reads."""
    shutil.copytree(ROOT / "tools" / "ros", checkout / "tools" / "ros")
    (checkout / "resource").mkdir()
    for name in (*FILES, "resource/program.py.in"):
        shutil.copy(ROOT / name, checkout / name)
    return checkout


def test_path_that_the_message_generator_cannot_handle_is_refused_at_once(tmp_path: Path) -> None:
    """By an interpreter whose own path has spaces, as that of a virtual environment in such a folder."""
    checkout = copy_makefile(tmp_path / "Büro")
    python = tmp_path / "an interpreter" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    command = ["make", "demo", f"PYTHON={python}"]
    process = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert process.returncode != 0
    assert str(checkout) in process.stderr
    assert "ASCII" in process.stderr
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("target", ["demo", "test"])
def test_targets_run_in_a_path_with_spaces(target: str, tmp_path: Path) -> None:
    """Every command of both targets starts, with programs in place of the installed ones that only name themselves."""
    checkout = copy_makefile(tmp_path / "a path with spaces")
    programs = checkout / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("pip", "python", "ruff", "mypy", "lint-imports", "lgnet-hands"):
        (programs / name).write_text('#!/bin/sh\necho "$(basename "$0") $*; $AMENT_PREFIX_PATH"\n')
        (programs / name).chmod(0o755)
    sourced = str(tmp_path / "ros of a path with spaces")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of `make test`
    environment = inherited | {"AMENT_PREFIX_PATH": sourced}
    make = ["make", target, "OUT=out/demo", "TEST_WORKERS=2", "PYTEST_ARGS=test/core"]
    process = subprocess.run(make, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert not process.stderr
    last = {"demo": "lgnet-hands --demo out/demo", "test": "python -m pytest -n 2 --dist loadfile"}
    assert last[target] in process.stdout.splitlines()[-1]
    assert process.stdout.splitlines()[-1].endswith(f"; {checkout}/.venv:{sourced}")
