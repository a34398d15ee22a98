"""The command: its arguments, the address that it prints, and its end."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from support.waiting import TIMEOUT, wait_for
from typer.testing import CliRunner

import lgnet_core.live
from lgnet_core.cli import app as cli


def run(*arguments: object) -> Exception:
    result = CliRunner().invoke(cli.app, ["live", *(str(a) for a in arguments)])
    assert result.exit_code == 1
    assert isinstance(result.exception, Exception)
    return result.exception


def test_one_source_only(tmp_path: Path) -> None:
    for arguments in (("--demo", "--camera", 0), ("--demo", tmp_path), (tmp_path, "--camera", 0)):
        assert str(run(*arguments)) == "VIDEO, --camera, --demo: give only one of them"


def test_a_wrong_source_is_named_before_anything_is_loaded(tmp_path: Path) -> None:
    assert "nowhere: no such file" in str(run(tmp_path / "nowhere"))
    assert "--calibration, --fov, --focal: give only one" in str(run("--demo", "--fov", 60, "--focal", 500))
    assert "host 192.0.2.1: this machine has no such address" in str(run("--demo", "--host", "192.0.2.1"))


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lgnet_core, "live", lgnet_core.live)  # restored, since the command binds another module to it
    for name in [name for name in sys.modules if name.split(".")[0] == "viser" or name.startswith("lgnet_core.live")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "viser", None)
    error = run("--demo")
    assert isinstance(error, ImportError)
    assert str(error) == "lgnet live needs viser, which is not installed: pip install 'lgnet_ros[live]'"


def test_the_page_is_served_until_a_signal(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-m", "lgnet_core.cli.app", "live", "--demo", "--port", "0", "--threads", "1"]
    with log.open("w") as file:
        process = subprocess.Popen([*command, "-o", str(tmp_path)], stdout=file, stderr=subprocess.STDOUT)
    try:
        found = wait_for(
            lambda: (
                re.search(r"open (http://127\.0\.0\.1:\d+/) in a browser", log.read_text())
                or (process.poll() is not None and [log.read_text()])
            ),
            "the address",
        )
        with urllib.request.urlopen(found[1]) as response:
            assert b"<html" in response.read()
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == 143
    finally:
        process.kill()
        process.wait()
    assert log.read_text().splitlines()[1:] == [f"lgnet: stopped; recordings, if any, are in {tmp_path}"]
