"""Tests of the program bring_up and of what may happen to the node meanwhile."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.node import Node
from support.ros_domain import TIMEOUT, HandsProcess, RosDomain, wait_for

from lgnet_ros.process.lifecycle import LifecycleClient, LifecycleError

PROGRAM = ("-m", "lgnet_ros.process.bring_up")


def test_node_is_brought_up_once(ros_domain: RosDomain, tmp_path: Path) -> None:
    """After that, a node that is cleaned up and configured manually stays inactive."""
    node = HandsProcess(ros_domain, tmp_path / "node")
    assert ros_domain.start(*PROGRAM, "/hands", log=tmp_path / "log").wait(TIMEOUT) == 0
    assert node.lifecycle.state() == State.PRIMARY_STATE_ACTIVE
    node.take_down()
    assert all(result.successful for result in node.set_parameters(threads=1, device="cpu"))
    node.lifecycle.change(Transition.TRANSITION_CONFIGURE, TIMEOUT)
    assert node.lifecycle.state() == State.PRIMARY_STATE_INACTIVE
    (result,) = node.set_parameters(threads=2)
    assert "fixed while the node is configured" in result.reason
    assert node.stop() == 0


def test_node_that_cannot_be_configured_gives_exit_code_1(ros_domain: RosDomain, tmp_path: Path) -> None:
    node = HandsProcess(ros_domain, tmp_path / "node", "bundled", "-p", "weights:=nowhere.safetensors")
    log = tmp_path / "log"
    assert ros_domain.start(*PROGRAM, "/hands", log=log).wait(TIMEOUT) == 1
    assert "transition configure failed" in log.read_text()
    # Once corrected, the same node can be configured.
    assert all(result.successful for result in node.set_parameters(weights="", threads=1))
    node.lifecycle.change(Transition.TRANSITION_CONFIGURE, TIMEOUT)
    assert node.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_the_network_is_loaded(ros_domain: RosDomain, tmp_path: Path, number: signal.Signals) -> None:
    """The pending service call is answered, the exit code is 0, and no shared memory is left."""
    node = HandsProcess(ros_domain, tmp_path / "node", "endless")
    node.lifecycle.state(TIMEOUT)
    segments = node.segments()
    errors: list[LifecycleError] = []

    def configure() -> None:
        try:
            node.lifecycle.change(Transition.TRANSITION_CONFIGURE, TIMEOUT)
        except LifecycleError as error:
            errors.append(error)

    request = threading.Thread(target=configure)
    request.start()
    wait_for(lambda: node.logged("loading"), "the transition")
    assert node.stop(number) == 0
    request.join(TIMEOUT)
    (error,) = errors
    assert "transition configure failed" in str(error)
    assert segments
    assert not any(segment.exists() for segment in segments)


def test_call_to_a_node_that_ends_is_abandoned(ros_domain: RosDomain) -> None:
    ending = Node("ending", context=ros_domain.context)  # never spun, so it does not respond
    ending.create_service(ChangeState, "/ending/change_state", lambda request, response: response)
    client = LifecycleClient(ros_domain.node, "/ending")
    timer = threading.Timer(0.5, ending.destroy_node)
    timer.start()
    with pytest.raises(LifecycleError, match="/ending: the node ended before it responded"):
        client.change(Transition.TRANSITION_CONFIGURE, TIMEOUT)
    timer.join()
    client.destroy()


def test_usage(ros_domain: RosDomain, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert ros_domain.start(*PROGRAM, log=log).wait(TIMEOUT) == 1
    assert "usage: bring_up NODE" in log.read_text()
