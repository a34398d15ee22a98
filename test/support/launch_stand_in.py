"""Stand-in for ROS 2's launch and launch_ros, which are not on PyPI: runs hands.launch.py with real processes.

It has what that file uses, with launch's semantics: arguments, environment variables, nodes with remappings and
parameters, their start and exit handlers, respawning and Shutdown, which interrupts all processes.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from types import ModuleType
from typing import Any

import pytest
import yaml

from support.paths import ROOT

MODULES = {
    "demo_camera": "lgnet_ros.demo.camera",
    "bring_up": "lgnet_ros.process.bring_up",
    "hands_view": "lgnet_ros.applications.view",
}  # of the programs in lib/lgnet_ros; hands_node is given by the test


def record(kind: str) -> type[Any]:
    """A class that keeps its arguments as attributes; the positional ones as ``args``."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        self.args, self.__dict__ = args, {**kwargs, "args": args}

    return type(kind, (), {"__init__": __init__})


class LaunchConfiguration:
    def __init__(self, name: str) -> None:
        self.name = name

    def perform(self, context: LaunchContext) -> str:
        return context.configurations[self.name]


class IfCondition:
    def __init__(self, value: LaunchConfiguration) -> None:
        self.value = value

    def evaluate(self, context: LaunchContext) -> bool:
        return self.value.perform(context) in ("true", "1")


class ShareFile:
    """A PathJoinSubstitution of a file in share/lgnet_ros, which is the checkout here."""

    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts[1:]

    def perform(self, context: LaunchContext) -> str:
        return str(ROOT.joinpath(*self.parts))


DeclareLaunchArgument, EmitEvent, LogInfo, OpaqueFunction = map(
    record, ("DeclareLaunchArgument", "EmitEvent", "LogInfo", "OpaqueFunction")
)
RegisterEventHandler, SetEnvironmentVariable, OnProcessStart, Shutdown, ParameterValue, Node = map(
    record, ("RegisterEventHandler", "SetEnvironmentVariable", "OnProcessStart", "Shutdown", "ParameterValue", "Node")
)


class LifecycleNode(Node):  # type: ignore[misc, valid-type]
    node_name = ""


class LaunchContext:
    """A running launch.

    Args:
        hands_node: command of the hands node, e.g. with a small network.
        environment: of the processes.
        arguments: launch arguments.
    """

    def __init__(self, hands_node: list[str], environment: dict[str, str], arguments: dict[str, str]) -> None:
        self.configurations = dict(arguments)
        self.environment = environment
        self.is_shutdown = False
        self.processes: dict[Any, Popen[bytes]] = {}
        self.commands: dict[str, list[str]] = {}
        self.log: list[str] = []
        self.exit_codes: dict[str, list[int]] = {}
        self._hands_node = hands_node
        self._handlers: list[Any] = []
        self._respawns: list[tuple[float, Any]] = []

    def visit(self, entities: list[Any] | None) -> None:
        for entity in entities or []:
            condition = getattr(entity, "condition", None)
            if condition is not None and not condition.evaluate(self):
                continue
            name = entity.args[0] if entity.args else None
            if isinstance(entity, DeclareLaunchArgument):
                default = self._perform(entity.default_value)
                self.configurations.setdefault(str(name), default)
            elif isinstance(entity, SetEnvironmentVariable):
                self.environment[str(name)] = entity.args[1]
            elif isinstance(entity, OpaqueFunction):
                self.visit(entity.function(self))
            elif isinstance(entity, RegisterEventHandler):
                self._handlers.append(name)
            elif isinstance(entity, LogInfo):
                self.log.append(entity.msg)
            elif isinstance(entity, EmitEvent):
                self.shut_down()
            else:
                self._start(entity)

    def spin(self, condition: Callable[[], bool], timeout: float = 240.0) -> None:
        """Handle events until a condition holds."""
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, (self.log, self.exit_codes)
            for node, process in list(self.processes.items()):
                if process.poll() is not None:
                    del self.processes[node]
                    self._on_exit(node, process.returncode)
            due = [node for at, node in self._respawns if at <= time.monotonic()]
            self._respawns = [(at, node) for at, node in self._respawns if node not in due]
            for node in due:
                self._start(node)
            time.sleep(0.02)

    @property
    def ended(self) -> bool:
        """Whether ``ros2 launch`` would return."""
        return not self.processes and not self._respawns

    def shut_down(self) -> None:
        self.is_shutdown = True
        self._respawns = []
        for process in self.processes.values():
            process.send_signal(signal.SIGINT)

    def _on_exit(self, node: Any, code: int) -> None:
        self.exit_codes.setdefault(node.executable, []).append(code)
        if on_exit := getattr(node, "on_exit", None):
            self.visit(on_exit(types.SimpleNamespace(returncode=code), self))
        if getattr(node, "respawn", False) and not self.is_shutdown:
            self._respawns.append((time.monotonic() + node.respawn_delay, node))

    def _start(self, node: Any) -> None:
        if self.is_shutdown:
            return
        arguments = [self._perform(argument) for argument in getattr(node, "arguments", [])]
        ros_arguments: list[str] = []
        if namespace := self._perform(getattr(node, "namespace", "")):
            ros_arguments += ["-r", f"__ns:=/{namespace.strip('/')}"]
        for name, topic in getattr(node, "remappings", []):
            ros_arguments += ["-r", f"{name}:={self._perform(topic)}"]
        for parameters in getattr(node, "parameters", []):
            ros_arguments += ["--params-file", self._parameter_file(parameters)]
        if isinstance(node, LifecycleNode):
            node.node_name = f"/{namespace.strip('/')}/{node.name}".replace("//", "/")
            program = self._hands_node
        else:
            program = [sys.executable, "-m", MODULES[node.executable]]
        command = [*program, *arguments, "--ros-args", *ros_arguments]
        self.commands[node.executable] = command
        self.processes[node] = Popen(command, env=self.environment, cwd=ROOT)
        for handler in self._handlers:
            if handler.target_action is node:
                self.visit(handler.on_start(None, self))

    def _parameter_file(self, parameters: Any) -> str:
        if not isinstance(parameters, dict):
            return self._perform(parameters)
        values = {name: self._parameter(value) for name, value in parameters.items()}
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", dir=self.environment["TMPDIR"], delete=False) as file:
            yaml.safe_dump({"/**": {"ros__parameters": values}}, file)
        return file.name

    def _parameter(self, value: Any) -> Any:
        if not isinstance(value, ParameterValue):
            return value
        text = self._perform(value.args[0])
        return text if value.value_type is str else yaml.safe_load(text)

    def _perform(self, value: Any) -> str:
        return value.perform(self) if hasattr(value, "perform") else value


def load_launch_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import a launch file with this module in place of launch and launch_ros."""
    names = {
        "launch": {"LaunchContext": LaunchContext, "LaunchDescription": list},
        "launch.actions": {
            "DeclareLaunchArgument": DeclareLaunchArgument,
            "EmitEvent": EmitEvent,
            "LogInfo": LogInfo,
            "OpaqueFunction": OpaqueFunction,
            "RegisterEventHandler": RegisterEventHandler,
            "SetEnvironmentVariable": SetEnvironmentVariable,
        },
        "launch.conditions": {"IfCondition": IfCondition},
        "launch.event_handlers": {"OnProcessStart": OnProcessStart},
        "launch.events": {"Shutdown": Shutdown},
        "launch.substitutions": {"LaunchConfiguration": LaunchConfiguration, "PathJoinSubstitution": ShareFile},
        "launch_ros": {},
        "launch_ros.actions": {"LifecycleNode": LifecycleNode, "Node": Node},
        "launch_ros.parameter_descriptions": {"ParameterValue": ParameterValue},
        "launch_ros.substitutions": {"FindPackageShare": record("FindPackageShare")},
    }
    for name, members in names.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location("hands_launch", path)
    assert spec is not None
    assert spec.loader is not None
    launch_file = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(launch_file)
    return launch_file


def process_environment(domain_id: int, tmp_path: Path) -> dict[str, str]:
    """Environment of the processes: an isolated domain, the checkout's code, a folder for parameter files."""
    python_path = os.pathsep.join([str(ROOT), str(ROOT / "test")])
    return os.environ | {"ROS_DOMAIN_ID": str(domain_id), "PYTHONPATH": python_path, "TMPDIR": str(tmp_path)}
