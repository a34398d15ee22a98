"""What the tests of the node share: a domain of their own, processes in it, and waiting for conditions."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import rclpy
from lgnet_ros.msg import HandJointsArray, HandMeshArray
from lifecycle_msgs.msg import Transition
from rclpy.context import Context
from rclpy.exceptions import InvalidHandle
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from rclpy.qos import QoSProfile

from lgnet_ros.process.lifecycle import LifecycleClient
from lgnet_ros.qos import output_profile
from support.paths import ROOT

PATIENCE = 60.0  # seconds; generous, since a busy machine is slow and nothing waits longer than it must

Answer = TypeVar("Answer")


def wait_for(condition: Callable[[], Answer], what: str = "", patience: float = PATIENCE) -> Answer:
    """The condition's value as soon as it is true."""
    end = time.monotonic() + patience
    while not (answer := condition()):
        assert time.monotonic() < end, f"waited {patience:g} s in vain for {what or condition}"
        time.sleep(0.01)
    return answer


class World:
    """A ROS domain of this test alone, and a node in it that a thread spins."""

    def __init__(self) -> None:
        self.domain = random.randint(1, 101)
        self.context = Context()
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
        rclpy.init(context=self.context, domain_id=self.domain)
        self.node = Node("test", context=self.context, use_global_arguments=False)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self._spinning = True
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        self._processes: list[subprocess.Popen[str]] = []

    def _spin(self) -> None:
        while self._spinning:
            # A test may destroy an endpoint just when the executor is about to wait for its events.
            with contextlib.suppress(InvalidHandle):
                self.executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        self._spinning = False
        self._thread.join()
        self.executor.shutdown()
        self.node.destroy_node()
        self.context.shutdown()

    def start(self, *command: str, log: Path | None = None) -> subprocess.Popen[str]:
        """A Python program in this domain; killed at the end. Its output goes to ``log``, else to pytest's."""
        environment = os.environ | {
            "ROS_DOMAIN_ID": str(self.domain),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "test")]),
        }
        output = None if log is None else log.open("w")
        process = subprocess.Popen(
            [sys.executable, "-u", *command],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
        )
        self._processes.append(process)
        return process

    def hear(self, message_type: type[Any], topic: str, profile: QoSProfile | None = None) -> list[Any]:
        """A list that grows with each message of a topic."""
        heard: list[Any] = []
        self.node.create_subscription(message_type, topic, heard.append, profile or output_profile())
        return heard


class HandsProcess:
    """The node in a process of its own, with a tracker of test/support/node_process.py, taken through its states from
    here."""

    def __init__(self, world: World, log: Path, tracker: str = "fixed", *ros_arguments: str) -> None:
        self.world = world
        self.log = log
        program = str(ROOT / "test" / "support" / "node_process.py")
        self.process = world.start(program, tracker, "--ros-args", *ros_arguments, log=log)
        self.lifecycle = LifecycleClient(world.node, "/hands")
        self._parameters = AsyncParameterClient(world.node, "/hands")

    def bring_up(self) -> HandsProcess:
        self.lifecycle.bring_up(appear=PATIENCE)
        return self

    def take_down(self) -> None:
        self.lifecycle.change(Transition.TRANSITION_DEACTIVATE)
        self.lifecycle.change(Transition.TRANSITION_CLEANUP)

    def set(self, **values: Any) -> list[Any]:
        """Set parameters; what the node says to each."""
        future = self._parameters.set_parameters([Parameter(name, value=value) for name, value in values.items()])
        wait_for(future.done, f"an answer to {values}")
        return future.result().results

    def end(self, number: int = signal.SIGINT) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def says(self, text: str) -> bool:
        return text in self.log.read_text()


__all__ = ["ROOT", "HandJointsArray", "HandMeshArray", "HandsProcess", "World", "wait_for"]
