"""The nodes as programs: they appear on the network, name invalid arguments in one line, and end on SIGINT."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from support.ros_domain import RosDomain
from support.waiting import TIMEOUT, wait_for

PROGRAMS = {"hands_cloud_filter": "cloud_filter", "hands_handover": "handover", "hands_view": "view"}

INVALID = {
    "hand_model:=/nowhere": (
        ("hands_cloud_filter", "hands_handover"),
        "hand_model: hand model /nowhere: no such directory",
    ),
    "hand_model:=1": (("hands_cloud_filter", "hands_handover"), "hand_model: expected a string, got 1"),
    "max_age:=.nan": (("hands_cloud_filter", "hands_handover"), "max_age: nan is out of range; set 0 to 60 s"),
    "keep:=neither": (("hands_cloud_filter",), "keep: invalid value 'neither'; set one of others, hands"),
    "stand_off:=.inf": (("hands_handover",), "stand_off: inf is out of range; set 0 to 2 m"),
    "port:=99999": (("hands_view",), "port: 99999 is out of range; set 0 to 65535"),
    "host:=1": (("hands_view",), "host: expected a string, got 1"),
    "image_transport:=foo": (("hands_view",), "image_transport: invalid value 'foo'; set one of raw, compressed"),
    "hands_node:=a-b": (("hands_view",), "hands_node: Invalid topic name"),
}
"""Programs with a parameter, and what they answer to this value."""


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_runs_until_sigint(ros_domain: RosDomain, tmp_path: Path, name: str) -> None:
    process = ros_domain.start("-m", f"lgnet_ros.applications.{PROGRAMS[name]}", log=tmp_path / "log")
    wait_for(lambda: name in ros_domain.node.get_node_names() or process.poll() is not None, "the node")
    process.send_signal(signal.SIGINT)
    assert process.wait(TIMEOUT) == 0, (tmp_path / "log").read_text()


@pytest.mark.parametrize(("name", "argument"), [(name, key) for key, (names, _) in INVALID.items() for name in names])
def test_invalid_argument_ends_the_program_with_one_line(
    ros_domain: RosDomain, tmp_path: Path, name: str, argument: str
) -> None:
    arguments = ("--ros-args", "-p", argument)
    process = ros_domain.start("-m", f"lgnet_ros.applications.{PROGRAMS[name]}", *arguments, log=tmp_path / "log")
    assert process.wait(TIMEOUT) == 1
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert line.startswith(f"lgnet_ros: Parameter {INVALID[argument][1]}")


@pytest.mark.parametrize(
    ("name", "near", "known"),
    [
        ("hands_cloud_filter", "paddding", "padding"),
        ("hands_handover", "standoff", "stand_off"),
        ("hands_view", "prot", "port"),
    ],
)
def test_unknown_parameters_are_reported(
    ros_domain: RosDomain, tmp_path: Path, name: str, near: str, known: str
) -> None:
    log = tmp_path / "log"
    arguments = ("--ros-args", "-p", f"{near}:=1")
    process = ros_domain.start("-m", f"lgnet_ros.applications.{PROGRAMS[name]}", *arguments, log=log)
    wait_for(
        lambda: f"Unknown parameter {near} is ignored; did you mean {known}?" in log.read_text() or process.poll(),
        "the warning",
    )
    process.send_signal(signal.SIGINT)
    assert process.wait(TIMEOUT) == 0, log.read_text()
