"""The command lgnet-hands: options become ROS arguments."""

from __future__ import annotations

import pytest
from launch_arguments import launch_arguments

from lgnet_ros.hands_cli import parse


def test_options_become_ros_arguments():
    line = (
        "--image /cam/image_raw --camera-info /cam/info --namespace /arm/ --device cuda:1 --weights w.safetensors "
        "--hand-model mano --use-sim-time --log-level debug --params-file mine.yaml "
        "--ros-args -p smoothing:=false --params-file more.yaml"
    )
    _, ros = parse(line.split())
    assert ros == [
        "--ros-args", "--log-level", "debug", "--params-file", "mine.yaml", "-r", "image:=/cam/image_raw",
        "-r", "camera_info:=/cam/info", "-r", "__ns:=/arm", "-p", "device:='cuda:1'", "-p", "weights:='w.safetensors'",
        "-p", "hand_model:='mano'", "-p", "use_sim_time:=true",
        "--ros-args", "-p", "smoothing:=false", "--params-file", "more.yaml",
    ]  # fmt: skip


def test_the_default_parameter_file_is_the_packages():
    options, ros = parse([])
    assert options.params_file.endswith("config/hands.yaml")
    assert ros == ["--ros-args", "--log-level", "info", "--params-file", options.params_file]


def test_it_offers_what_the_launch_file_offers(capsys):
    """All but rviz, which is not to be had without an apt ROS."""
    with pytest.raises(SystemExit):
        parse(["--help"])
    text = capsys.readouterr().out
    for name in launch_arguments().keys() - {"rviz", "autostart"}:
        assert f"--{name.replace('_', '-')}" in text
    assert "--no-autostart" in text


def test_an_unknown_option_is_an_error(capsys):
    with pytest.raises(SystemExit):
        parse(["--imgae", "/x"])
    assert "--imgae" in capsys.readouterr().err
