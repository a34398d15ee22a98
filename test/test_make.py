"""The Makefile: what it refuses before it downloads anything."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from support.paths import ROOT


def test_path_that_the_message_generator_cannot_handle_is_refused_at_once(tmp_path: Path) -> None:
    checkout = tmp_path / "Büro"
    shutil.copytree(ROOT / "tools" / "ros", checkout / "tools" / "ros")
    for name in ("Makefile", "pyproject.toml", "setup.py", "requirements.txt", "constraints.txt"):
        shutil.copy(ROOT / name, checkout)
    command = ["make", "demo", f"PYTHON={sys.executable}"]
    process = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert process.returncode != 0
    assert str(checkout) in process.stderr
    assert "ASCII" in process.stderr
    assert not (checkout / ".venv").exists()
