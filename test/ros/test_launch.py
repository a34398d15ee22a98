"""Tests of the launch file and the RViz configuration. Those that import launch need ROS from apt."""

from __future__ import annotations

import importlib.util
import re
import sys
from types import ModuleType

import pytest
import yaml
from support.launch_arguments import FILE, launch_arguments

from lgnet_ros import topics
from lgnet_ros.demo.camera import FRAME_ID

ARGUMENTS = {
    "image", "camera_info", "namespace", "params_file", "device", "weights", "hand_model", "use_sim_time", "autostart",
    "rviz", "log_level", "demo",
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


@pytest.fixture
def launch_file() -> ModuleType:
    # Not importorskip("launch"): the folder launch/ of the checkout can be imported as a namespace package.
    pytest.importorskip("launch_ros", reason="launch is not on PyPI; requires ROS from apt")
    spec = importlib.util.spec_from_file_location("hands_launch", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["hands_launch"] = module
    spec.loader.exec_module(module)
    return module


def test_launch_description_entities(launch_file):
    from launch.actions import DeclareLaunchArgument, OpaqueFunction, RegisterEventHandler, SetEnvironmentVariable
    from launch_ros.actions import LifecycleNode

    from launch import LaunchContext

    description = launch_file.generate_launch_description()
    entities = description.entities
    assert {e.name for e in entities if isinstance(e, DeclareLaunchArgument)} == ARGUMENTS
    assert any(isinstance(e, SetEnvironmentVariable) for e in entities)
    context = LaunchContext()
    for entity in entities:
        if isinstance(entity, DeclareLaunchArgument):
            entity.execute(context)
    (opaque,) = (e for e in entities if isinstance(e, OpaqueFunction))
    entities = opaque.execute(context)
    assert sum(isinstance(e, LifecycleNode) for e in entities) == 1
    assert sum(isinstance(e, RegisterEventHandler) for e in entities) == 2
    assert isinstance(entities[-1], LifecycleNode), "the event handlers must come first, so that they miss no events"
