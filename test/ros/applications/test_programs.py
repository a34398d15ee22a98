"""The nodes as programs: they appear on the network, name invalid arguments in one line, and end on SIGINT."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from support.ros_domain import RosDomain
from support.waiting import TIMEOUT, wait_for

PROGRAMS = {"hands_cloud_filter": "cloud_filter", "hands_handover": "handover"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_runs_until_sigint(ros_domain: RosDomain, tmp_path: Path, name: str) -> None:
    process = ros_domain.start("-m", f"lgnet_ros.applications.{PROGRAMS[name]}", log=tmp_path / "log")
    wait_for(lambda: name in ros_domain.node.get_node_names() or process.poll() is not None, "the node")
    process.send_signal(signal.SIGINT)
    assert process.wait(TIMEOUT) == 0, (tmp_path / "log").read_text()


@pytest.mark.parametrize("name", PROGRAMS)
def test_invalid_argument_ends_the_program_with_one_line(ros_domain: RosDomain, tmp_path: Path, name: str) -> None:
    arguments = ("--ros-args", "-p", "hand_model:=/nowhere")
    process = ros_domain.start("-m", f"lgnet_ros.applications.{PROGRAMS[name]}", *arguments, log=tmp_path / "log")
    assert process.wait(TIMEOUT) == 1
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert line.startswith("lgnet_ros: Parameter hand_model: hand model /nowhere: no such directory")
