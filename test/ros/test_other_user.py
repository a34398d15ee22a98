"""Programs of a user without a home folder, next to those of root."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.other_user import USER, as_other_user
from support.paths import ROOT
from support.ros_domain import RosDomain
from support.waiting import TIMEOUT, wait_for

from lgnet_core.data.clip import read_clip
from lgnet_core.visualization.drawing import write_png

VARIABLES = {"HOME", "XDG_CACHE_HOME", "LGNET_CACHE_DIR", "ROS_HOME", "ROS_LOG_DIR"}


def environment(home: str | None) -> dict[str, str]:
    """Variables of a shell without any folder to write to."""
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return kept if home is None else kept | {"HOME": home}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that belongs to the other user. pytest closes its own ones to others whenever a session starts."""
    with tempfile.TemporaryDirectory() as name:
        if os.geteuid() == 0:
            os.chown(name, USER, USER)
        yield Path(name)


@pytest.mark.parametrize(
    ("command", "home"), [("check", None), ("check", "/"), ("check", "/nonexistent"), ("predict", None)]
)
def test_commands_run_without_a_home_folder(command: str, home: str | None, folder: Path) -> None:
    """They name the cache that they cannot write and how to have one."""
    prefix = as_other_user()
    write_png(folder / "image.png", read_clip().frames[0])
    arguments = {"check": [], "predict": [str(folder / "image.png"), "-o", str(folder / "out"), "--engine", "eager"]}
    program = [sys.executable, "-m", "lgnet_core.cli.app", command, *arguments[command]]
    done = subprocess.run(
        [*prefix, *program], cwd=ROOT, env=environment(home), capture_output=True, text=True, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "Traceback" not in output
    assert "Errno" not in output
    if command == "check":
        assert "LGNET_CACHE_DIR" in output


def test_node_without_a_log_folder_does_not_receive_images_of_root_and_says_why(
    ros_domain: RosDomain, folder: Path
) -> None:
    """Log files are switched off, with the remedy; shared memory of another user is named, with the remedy."""
    prefix, log = as_other_user(), folder / "node"
    camera = ros_domain.start("-m", "lgnet_ros.demo.camera", log=folder / "camera")
    arguments = ["--ros-args", "-p", "engine:=eager"]
    node = ros_domain.start("-m", "lgnet_ros.cli", *arguments, log=log, environment=environment("/"), prefix=prefix)
    wait_for(lambda: "use shared memory on this machine" in log.read_text() or node.poll() is not None)
    text = log.read_text()
    assert node.poll() is None, text
    assert "Set ROS_LOG_DIR to a writable folder" in text
    assert f"processes of user root use shared memory on this machine, and this process runs as {USER}" in text
    assert "FASTDDS_BUILTIN_TRANSPORTS=UDPv4" in text
    assert "_UNKNOWN_" not in text
    for process in (node, camera):
        process.terminate()
        assert process.wait(TIMEOUT) == 0
    assert "Traceback" not in log.read_text()
    assert "Errno" not in log.read_text()
