"""The command lgnet-hands: options become ROS arguments."""

from __future__ import annotations

import pytest
from support.launch_arguments import launch_arguments

from lgnet_ros.cli import parse
from lgnet_ros.process.arguments import split_parameters
from lgnet_ros.resources import resource_file


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


def test_without_a_parameter_file_the_nodes_own_defaults_hold():
    assert parse([])[1] == ["--ros-args", "--log-level", "info"]


def refused(world, tmp_path, *arguments: str) -> str:
    """What the command says before it ends with 1; a line of ours, and no traceback."""
    log = tmp_path / "log"
    assert world.start("-m", "lgnet_ros.cli", "--no-autostart", *arguments, log=log).wait(60) == 1
    text = log.read_text()
    assert "Traceback" not in text
    assert text.count("lgnet_ros: ") == 1
    return text


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("smoothing:=0", "parameter smoothing: expected true or false, got 0"),
        ("hands:threads:=abc", "parameter threads: expected a whole number, got 'abc'"),
        ("engine:=banana", "parameter engine: 'banana' is not known; set one of auto, eager"),
        ("hand_length:=0.05", "parameter hand_length: 0.05 m is no hand's"),
        ("broken", "wrong ROS arguments: "),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(world, tmp_path, value, reason):
    """Also beside a file with a value of the right type, which hides it from rcl."""
    file = str(resource_file("config", "hands.yaml"))
    assert reason in refused(world, tmp_path, "--params-file", file, "--ros-args", "-p", value)


def test_weights_that_are_not_there_are_told_without_a_traceback(world, tmp_path):
    log = tmp_path / "log"
    assert world.start("-m", "lgnet_ros.cli", "--weights", "nowhere.safetensors", log=log).wait(60) == 1
    text = log.read_text()
    assert "on_configure: " in text
    assert "nowhere.safetensors" in text
    assert "Traceback" not in text


def test_a_file_without_parameters_is_refused(world, tmp_path):
    text = tmp_path / "text"
    text.write_text("nothing to see here\n")
    for path, reason in ((text, "ros__parameters"), (tmp_path / "nowhere.yaml", "No such file")):
        assert reason in refused(world, tmp_path, "--params-file", str(path))


def test_parameters_are_told_apart_from_other_arguments():
    line = "-p no -r a:=b --ros-args -p x:=1 -r c:=d --param y:=2 -- -p no --ros-args -p z:=3"
    rest, parameters = split_parameters(line.split())
    assert rest == ["-p", "no", "-r", "a:=b", "--ros-args", "-r", "c:=d", "--", "-p", "no", "--ros-args"]
    assert parameters == ["--ros-args", "-p", "x:=1", "--param", "y:=2", "-p", "z:=3"]
    assert split_parameters(["--ros-args"]) == (["--ros-args"], [])


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
