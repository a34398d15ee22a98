"""Isolated ROS domain for tests, with a spinning node and child processes."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rclpy
from lifecycle_msgs.msg import Transition
from rclpy.context import Context
from rclpy.exceptions import InvalidHandle
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.parameter_client import AsyncParameterClient
from rclpy.qos import QoSProfile

from lgnet_ros.process.lifecycle import LifecycleClient
from lgnet_ros.qos import output_profile
from support.paths import ROOT
from support.waiting import TIMEOUT, wait_for


class RosDomain:
    """A ROS domain limited to this host, and a node in it that is spun by a thread."""

    def __init__(self, domain_id: int) -> None:
        self.domain_id = domain_id
        self.context = Context()
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
        rclpy.init(context=self.context, domain_id=self.domain_id)
        self.node = Node("test", context=self.context, use_global_arguments=False)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self._spinning = True
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        self._processes: list[subprocess.Popen[str]] = []

    def _spin(self) -> None:
        while self._spinning:
            # A test may destroy an endpoint just before the executor waits for its events.
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

    def start(
        self,
        *command: str,
        log: Path | None = None,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> subprocess.Popen[str]:
        """Start a Python program in this domain, which :meth:`close` kills. Its output is written to ``log``.

        Args:
            environment: instead of the variables of this process.
            prefix: the command that runs Python, e.g. as another user.
        """
        environment = {
            **(os.environ if environment is None else environment),
            "ROS_DOMAIN_ID": str(self.domain_id),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "test")]),
        }
        output = None if log is None else log.open("w")
        process = subprocess.Popen(
            [*prefix, sys.executable, "-u", *command],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
        )
        self._processes.append(process)
        return process

    def subscribe(self, message_type: type[Any], topic: str, profile: QoSProfile | None = None) -> list[Any]:
        """Subscribe to a topic and return the list to which its messages are appended."""
        received: list[Any] = []
        self.node.create_subscription(message_type, topic, received.append, profile or output_profile())
        return received


class HandsProcess:
    """The node in its own process, controlled by lifecycle services.

    Args:
        log: file for its output.
        tracker: of test/support/node_process.py.
        ros_arguments: follow ``--ros-args``.
        environment: variables beside those of this process.
    """

    def __init__(
        self,
        ros_domain: RosDomain,
        log: Path,
        tracker: str = "fixed",
        *ros_arguments: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        program = str(ROOT / "test" / "support" / "node_process.py")
        variables = {**os.environ, **(environment or {})}
        self.process = ros_domain.start(program, tracker, "--ros-args", *ros_arguments, log=log, environment=variables)
        self.lifecycle = LifecycleClient(ros_domain.node, "/hands")
        self._parameters = AsyncParameterClient(ros_domain.node, "/hands")

    def bring_up(self) -> HandsProcess:
        self.lifecycle.bring_up(TIMEOUT, TIMEOUT)
        return self

    def change(self, *transitions: int) -> None:
        """Request transitions one after the other."""
        for transition in transitions:
            self.lifecycle.change(transition, TIMEOUT)

    def take_down(self) -> None:
        self.change(Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)

    def set_parameters(self, **values: Any) -> list[Any]:
        """Set parameters and return the result of each."""
        # A request to a service that is not yet discovered is lost.
        assert self._parameters.wait_for_services(TIMEOUT), "the node's parameter services were not found"
        future = self._parameters.set_parameters([Parameter(name, value=value) for name, value in values.items()])
        wait_for(future.done, f"the response to {values}")
        return future.result().results

    def get_parameter(self, name: str) -> Any:
        """Value of a parameter, as ``ros2 param get`` shows it."""
        assert self._parameters.wait_for_services(TIMEOUT), "the node's parameter services were not found"
        future = self._parameters.get_parameters([name])
        wait_for(future.done, f"the value of {name}")
        return parameter_value_to_python(future.result().values[0])

    def stop(self, signal_number: int = signal.SIGINT) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(signal_number)
        return self.process.wait(TIMEOUT)

    def segments(self) -> list[Path]:
        """Shared memory segments that the process owns, by the lock files that it holds open."""
        folder = Path(f"/proc/{self.process.pid}/fd")
        open_files = []
        for file in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # the process has just closed it
                open_files.append(os.readlink(file))
        locks = [name for name in open_files if re.fullmatch(r"/dev/shm/fast(dds|rtps)_\w{16}_el", name)]
        return [Path(name.removesuffix("_el")) for name in locks]

    def logged(self, text: str) -> bool:
        return text in self.log.read_text()
