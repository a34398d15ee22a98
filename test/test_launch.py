"""The launch file: what it declares, what it starts. PyPI has no `launch`: much of this needs ROS from apt."""

from __future__ import annotations

import importlib.util
import re
import sys
from types import ModuleType

import pytest
from launch_arguments import FILE, launch_arguments

ARGUMENTS = {
    "image", "camera_info", "namespace", "params_file", "device", "weights", "hand_model", "use_sim_time", "autostart",
    "rviz", "log_level", "demo",
}  # fmt: skip


def test_arguments_are_those_promised():
    assert launch_arguments().keys() == ARGUMENTS
    assert all(launch_arguments().values())


def test_nothing_is_installed_or_downloaded():
    text = FILE.read_text()
    assert not re.search(r"\bpip\b|\bapt\b|subprocess|urllib|requests|ExecuteProcess|ament_cmake", text)


@pytest.fixture
def launch_file() -> ModuleType:
    # Not importorskip("launch"): the checkout's own folder launch/ imports as an empty package.
    pytest.importorskip("launch_ros", reason="launch is not on PyPI; this runs where ROS was installed by apt")
    spec = importlib.util.spec_from_file_location("hands_launch", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["hands_launch"] = module
    spec.loader.exec_module(module)
    return module


def test_description_as_launch_sees_it(launch_file):
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
    made = opaque.execute(context)
    assert sum(isinstance(e, LifecycleNode) for e in made) == 1
    assert sum(isinstance(e, RegisterEventHandler) for e in made) == 2
    assert isinstance(made[-1], LifecycleNode), "the handlers come first, so that they miss no event"
