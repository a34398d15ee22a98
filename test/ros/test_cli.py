"""Tests of the command lgnet-hands: conversion of options to ROS arguments, rejection of invalid ones."""

from __future__ import annotations

import re
import signal
import sys
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from support.launch_arguments import launch_arguments
from support.waiting import TIMEOUT, wait_for

from lgnet_ros.cli import main, parse_arguments, view_command
from lgnet_ros.process.arguments import split_parameters
from lgnet_ros.process.resources import resource_file


def test_options_become_ros_arguments():
    line = (
        "--image /cam/image_raw --camera-info /cam/info --depth /cam/depth --depth-camera-info /cam/depth_info "
        "--namespace /arm/ --device cuda:1 --weights w.safetensors "
        "--hand-model mano --frame-prefix arm/ --image-transport compressed --image-qos reliable --camera-model raw "
        "--hand-length 0.2 --use-sim-time --log-level debug --params-file mine.yaml "
        "--ros-args -p smoothing:=false --params-file more.yaml"
    )
    _, ros_arguments = parse_arguments(line.split())
    assert ros_arguments == [
        "--ros-args", "--log-level", "debug", "--params-file", "mine.yaml", "-r", "image:=/cam/image_raw",
        "-r", "camera_info:=/cam/info", "-r", "depth:=/cam/depth", "-r", "depth_camera_info:=/cam/depth_info",
        "-r", "__ns:=/arm", "-p", "use_depth:=true", "-p", "device:='cuda:1'", "-p", "weights:='w.safetensors'",
        "-p", "hand_model:='mano'", "-p", "frame_prefix:='arm/'", "-p", "image_transport:='compressed'",
        "-p", "image_qos:='reliable'", "-p", "camera_model:='raw'", "-p", "hand_length:=0.2",
        "-p", "use_sim_time:=true",
        "--ros-args", "-p", "smoothing:=false", "--params-file", "more.yaml",
    ]  # fmt: skip


def test_no_parameter_file_by_default():
    assert parse_arguments([])[1] == ["--ros-args", "--log-level", "info"]


def startup_error(ros_domain, tmp_path, *arguments: str) -> str:
    """Output of a command that must fail with exit code 1, one error line and no traceback."""
    log = tmp_path / "log"
    assert ros_domain.start("-m", "lgnet_ros.cli", "--no-autostart", *arguments, log=log).wait(TIMEOUT) == 1
    text = log.read_text()
    assert "Traceback" not in text
    assert text.count("lgnet_ros: ") == 1
    return text


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("smoothing:=0", "Parameter smoothing: expected true or false, got 0"),
        ("hands:threads:=abc", "Parameter threads: expected an integer, got 'abc'"),
        ("engine:=banana", "Parameter engine: invalid value 'banana'; set one of auto, eager"),
        ("hand_length:=0.05", "Parameter hand_length: 0.05 m is too short"),
        ("broken", "Invalid ROS arguments: "),
    ],
)
def test_invalid_value_is_reported_in_one_line(ros_domain, tmp_path, value, reason):
    """Also if a parameter file contains a value of the correct type, which hides the override in rcl."""
    file = str(resource_file("config", "hands.yaml"))
    assert reason in startup_error(ros_domain, tmp_path, "--params-file", file, "--ros-args", "-p", value)


def test_missing_weights_are_reported_without_traceback(ros_domain, tmp_path):
    log = tmp_path / "log"
    assert ros_domain.start("-m", "lgnet_ros.cli", "--weights", "nowhere.safetensors", log=log).wait(TIMEOUT) == 1
    text = log.read_text()
    assert "on_configure: " in text
    assert "nowhere.safetensors" in text
    assert "Traceback" not in text


def test_invalid_parameter_file_is_rejected(ros_domain, tmp_path):
    text = tmp_path / "text"
    text.write_text("no parameters\n")
    for path, reason in (
        (text, "ros__parameters"),
        (tmp_path / "nowhere.yaml", "no such file or directory; check the path"),
    ):
        assert reason in startup_error(ros_domain, tmp_path, "--params-file", str(path))


def test_parameters_are_split_from_other_arguments():
    line = "-p no -r a:=b --ros-args -p x:=1 -r c:=d --param y:=2 -- -p no --ros-args -p z:=3"
    other, parameters = split_parameters(line.split())
    assert other == ["-p", "no", "-r", "a:=b", "--ros-args", "-r", "c:=d", "--", "-p", "no", "--ros-args"]
    assert parameters == ["--ros-args", "-p", "x:=1", "--param", "y:=2", "-p", "z:=3"]
    assert split_parameters(["--ros-args"]) == (["--ros-args"], [])


def test_options_match_launch_arguments(capsys):
    """All except rviz, which requires ROS from apt, and respawn, which requires another process."""
    with pytest.raises(SystemExit):
        parse_arguments(["--help"])
    text = capsys.readouterr().out
    for name in launch_arguments().keys() - {"rviz", "respawn", "autostart"}:
        assert f"--{name.replace('_', '-')}" in text
    assert "--no-autostart" in text


def test_unknown_option_is_an_error(capsys):
    with pytest.raises(SystemExit):
        parse_arguments(["--imgae", "/x"])
    assert "--imgae" in capsys.readouterr().err


def test_the_page_gets_the_topics_of_the_node():
    line = "--view --image /cam/image_raw --namespace arm --image-transport compressed --device cpu --use-sim-time"
    assert view_command(parse_arguments(line.split())[0])[2:] == [
        "lgnet_ros.applications.view", "--ros-args", "--log-level", "info", "-r", "image:=/cam/image_raw",
        "-r", "__ns:=/arm", "-p", "image_transport:=compressed", "-p", "use_sim_time:=true",
    ]  # fmt: skip


def test_the_page_ends_with_the_node(ros_domain, tmp_path):
    pytest.importorskip("viser")
    log = tmp_path / "log"
    process = ros_domain.start("-m", "lgnet_ros.cli", "--no-autostart", "--view", log=log)
    names = ros_domain.node.get_node_names
    wait_for(lambda: {"hands", "hands_view"} <= set(names()), "node and page")
    (url,) = wait_for(lambda: re.findall(r"Open (http://\S+) in a browser", log.read_text()), "the address")
    process.send_signal(signal.SIGINT)
    assert process.wait(TIMEOUT) == 0, log.read_text()
    with pytest.raises(URLError):
        urlopen(url)


def test_the_bundled_clip_has_a_page_of_its_own(capsys):
    with pytest.raises(SystemExit):
        parse_arguments(["--demo", "out", "--view"])
    assert "lgnet live --demo" in capsys.readouterr().err


def test_missing_ros_is_named(monkeypatch, capsys, tmp_path):
    """Installed beside a ROS 2 that is not sourced in this shell."""
    monkeypatch.setitem(sys.modules, "rclpy", None)
    assert main(["--demo", str(tmp_path)]) == 1
    assert "source its setup.bash" in capsys.readouterr().err
