"""Tests of the launch file, run by a stand-in for launch with real processes, and of the RViz configuration."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from lifecycle_msgs.msg import State
from rclpy.parameter_client import AsyncParameterClient
from support.launch_arguments import FILE, launch_arguments
from support.launch_stand_in import LaunchContext, load_launch_file, process_environment
from support.paths import ROOT
from support.ros_domain import TIMEOUT, RosDomain

from lgnet_ros import topics
from lgnet_ros.demo.camera import FRAME_ID
from lgnet_ros.process.arguments import OVERRIDES, StartupError
from lgnet_ros.process.lifecycle import LifecycleClient

ARGUMENTS = {
    "image", "camera_info", "namespace", "params_file", "device", "weights", "hand_model", "use_sim_time", "autostart",
    "rviz", "log_level", "demo", "respawn", "frame_prefix", "image_transport", "image_qos", "camera_model",
    "hand_length", "view", "depth", "depth_camera_info",
}  # fmt: skip


def test_arguments_are_declared_with_descriptions():
    assert launch_arguments().keys() == ARGUMENTS
    assert all(launch_arguments().values())


def test_launch_file_installs_and_downloads_nothing():
    text = FILE.read_text()
    assert not re.search(r"\bpip\b|\bapt\b|subprocess|urllib|requests|ExecuteProcess|ament_cmake", text)


def test_rviz_displays_use_the_nodes_topics():
    """Topic names are relative, so that the namespace applies to them."""
    config = yaml.safe_load((FILE.parent.parent / "config" / "hands.rviz").read_text())
    displays = config["Visualization Manager"]["Displays"]
    enabled = {display["Class"].rpartition("/")[2] for display in displays if display["Enabled"]}
    assert {"Image", "MarkerArray", "TF"} <= enabled
    assert {d["Topic"]["Value"] for d in displays if "Topic" in d} == {topics.OVERLAY, topics.IMAGE, topics.MARKERS}
    assert config["Visualization Manager"]["Global Options"]["Fixed Frame"] == FRAME_ID


class Launch(LaunchContext):
    """hands.launch.py with the node of test/support/node_process.py, in the domain of a test."""

    def __init__(self, ros_domain: RosDomain, tmp_path: Path, tracker: str, **arguments: str) -> None:
        program = [sys.executable, str(ROOT / "test" / "support" / "node_process.py"), tracker]
        super().__init__(program, process_environment(ros_domain.domain_id, tmp_path), arguments)
        self.client = LifecycleClient(ros_domain.node, "/" + f"{arguments.get('namespace', '')}/hands".lstrip("/"))

    def brought_up(self, count: int = 1) -> bool:
        return len(self.exit_codes.get("bring_up", [])) == count


@pytest.fixture
def launch(ros_domain: RosDomain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Launch]]:
    """Starts hands.launch.py with a tracker and arguments."""
    launch_file = load_launch_file(FILE, monkeypatch)
    started: list[Launch] = []

    def start(tracker: str = "fixed", **arguments: str) -> Launch:
        started.append(Launch(ros_domain, tmp_path, tracker, **arguments))
        started[-1].visit(launch_file.generate_launch_description())
        return started[-1]

    yield start
    for context in started:
        context.shut_down()
        context.spin(lambda context=context: context.ended)


def test_node_is_activated_and_its_end_ends_the_launch(launch: Callable[..., Launch]) -> None:
    running = launch()
    running.spin(running.brought_up)
    assert running.client.state(TIMEOUT) == State.PRIMARY_STATE_ACTIVE
    (node,) = running.processes.values()
    node.send_signal(signal.SIGTERM)
    running.spin(lambda: running.ended)
    assert running.exit_codes == {"bring_up": [0], "hands_node": [0]}
    assert running.log == ["hands: The node ended with exit code 0, shutting down"]


def test_killed_node_is_respawned_and_activated_again(launch: Callable[..., Launch]) -> None:
    running = launch(respawn="true")
    running.spin(running.brought_up)
    (node,) = running.processes.values()
    node.kill()
    running.spin(lambda: running.brought_up(2))
    assert running.client.state(TIMEOUT) == State.PRIMARY_STATE_ACTIVE
    running.shut_down()
    running.spin(lambda: running.ended)
    assert running.exit_codes == {"bring_up": [0, 0], "hands_node": [-signal.SIGKILL, 0]}


@pytest.mark.parametrize(
    "arguments",
    [{"weights": "nowhere.safetensors"}, {"image_qos": "perfect"}, {"namespace": "a", "hand_length": "0.05"}],
)
def test_wrong_parameters_end_the_launch(launch: Callable[..., Launch], arguments: dict[str, str]) -> None:
    running = launch("bundled", **arguments)
    running.spin(lambda: running.ended)
    assert running.is_shutdown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"params_file": "nowhere.yaml"}, "Parameter file nowhere.yaml: no such file or directory"),
        ({"hand_length": "long"}, "Launch argument hand_length: expected a number, got 'long'"),
    ],
)
def test_wrong_launch_arguments_start_nothing(launch: Callable[..., Launch], arguments: dict[str, str], message: str):
    with pytest.raises((StartupError, ValueError), match=re.escape(message)):
        launch(**arguments)


def test_arguments_reach_the_node(launch: Callable[..., Launch], ros_domain: RosDomain) -> None:
    overrides = {
        "device": "cpu", "hand_model": "mano", "weights": "w", "frame_prefix": "left_arm/", "image_qos": "reliable",
        "image_transport": "compressed", "camera_model": "raw",
    }  # fmt: skip
    assert {*overrides, "hand_length"} == OVERRIDES.keys()
    running = launch(namespace="arm", image="/cam/color/image_raw", hand_length="0.2", **overrides)
    running.spin(running.brought_up)
    client = AsyncParameterClient(ros_domain.node, "/arm/hands")
    running.spin(client.services_are_ready)  # a request to a service that is not yet discovered is lost
    future = client.get_parameters([*overrides, "hand_length"])
    running.spin(future.done)
    *texts, length = future.result().values
    assert [value.string_value for value in texts] == list(overrides.values())
    assert length.double_value == 0.2
    subscribed = ["/cam/color/image_raw/compressed", "/cam/color/camera_info"]
    running.spin(lambda: all(ros_domain.node.count_subscribers(topic) for topic in subscribed))


@pytest.mark.parametrize(
    ("arguments", "info"),
    [({}, "/cam/depth/camera_info"), ({"depth_camera_info": "/cam/depth_info"}, "/cam/depth_info")],
)
def test_depth_topic_sets_use_depth(
    launch: Callable[..., Launch], ros_domain: RosDomain, arguments: dict[str, str], info: str
) -> None:
    running = launch(image="/cam/image_raw", depth="/cam/depth/image_raw", **arguments)
    running.spin(running.brought_up)
    running.spin(lambda: all(ros_domain.node.count_subscribers(topic) for topic in ("/cam/depth/image_raw", info)))


def test_without_autostart_the_node_stays_unconfigured(launch: Callable[..., Launch]) -> None:
    running = launch(autostart="false")
    assert running.client.state(TIMEOUT) == State.PRIMARY_STATE_UNCONFIGURED
    assert set(running.commands) == {"hands_node"}


def test_view_shows_the_nodes_hands(launch: Callable[..., Launch], ros_domain: RosDomain) -> None:
    """With the node's image transport and camera model."""
    running = launch(view="true", namespace="arm", image="/cam/image", image_transport="compressed", camera_model="raw")
    running.spin(lambda: ("hands_view", "/arm") in ros_domain.node.get_node_names_and_namespaces())
    running.spin(lambda: ros_domain.node.count_subscribers("/arm/hands/mesh") == 1)
    running.spin(lambda: ros_domain.node.count_subscribers("/cam/image/compressed") > 0)
    client = AsyncParameterClient(ros_domain.node, "/arm/hands_view")
    running.spin(client.services_are_ready)
    future = client.get_parameters(["image_transport", "camera_model"])
    running.spin(future.done)
    assert [value.string_value for value in future.result().values] == ["compressed", "raw"]
