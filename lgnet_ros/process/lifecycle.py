"""Client for the lifecycle services of a managed node, as a replacement for launch."""

from __future__ import annotations

import threading
import time
from typing import Any

from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.client import Client
from rclpy.node import Node

POLL_PERIOD = 0.2  # seconds between two checks that the node still exists
RETRY_PERIOD = 5.0  # seconds until a request for the state is repeated


class LifecycleError(RuntimeError):
    """A managed node is not available or rejected a transition; the message contains the remedy."""


class LifecycleClient:
    """Queries and changes the state of a managed node.

    Calls block, so they must not be made from a callback of the executor that spins ``node``.

    Args:
        node: any node that is spun by another thread.
        target: name of the managed node, e.g. ``"/hands"``.
    """

    def __init__(self, node: Node, target: str) -> None:
        self.target = target
        self._node = node
        self._get_state: Client = node.create_client(GetState, f"{target}/get_state")
        self._change_state: Client = node.create_client(ChangeState, f"{target}/change_state")

    def bring_up(self, discovery_timeout: float = 120.0, transition_timeout: float = 120.0) -> None:
        """Configure and activate the node from any primary state; no effect if it is active.

        Args:
            discovery_timeout: seconds to wait for the node, whose imports alone take a while on a busy machine.
            transition_timeout: seconds for one transition; loading and warming up a network takes a while.

        Raises:
            LifecycleError: the node is not found, does not respond, or fails.
        """
        state = self.state(discovery_timeout)
        if state == State.PRIMARY_STATE_UNCONFIGURED:
            self.change(Transition.TRANSITION_CONFIGURE, transition_timeout)
            state = State.PRIMARY_STATE_INACTIVE
        if state == State.PRIMARY_STATE_INACTIVE:
            self.change(Transition.TRANSITION_ACTIVATE, transition_timeout)
        elif state != State.PRIMARY_STATE_ACTIVE:
            raise LifecycleError(f"{self.target}: cannot be activated from state {state}; restart the node")

    def state(self, timeout: float = 10.0) -> int:
        """Return the node's state, one of ``lifecycle_msgs.msg.State.PRIMARY_STATE_*``.

        The request is repeated, since the first may reach a previous node of this name that has just ended.
        """
        end = time.monotonic() + timeout
        self._wait_for(self._get_state, timeout)
        while True:
            remaining = max(0.0, end - time.monotonic())
            last = remaining <= RETRY_PERIOD
            try:
                response = self._call(self._get_state, GetState.Request(), remaining if last else RETRY_PERIOD)
                return int(response.current_state.id)
            except LifecycleError:
                if last:
                    raise

    def change(self, transition: int, timeout: float = 10.0) -> None:
        """Request a transition, one of ``lifecycle_msgs.msg.Transition.TRANSITION_*``.

        Raises:
            LifecycleError: the transition is rejected or fails.
        """
        request = ChangeState.Request()
        request.transition.id = transition
        if not self._call(self._change_state, request, timeout).success:
            raise LifecycleError(f"{self.target}: transition {_label(transition)} failed; see the node's log")

    def destroy(self) -> None:
        for client in (self._get_state, self._change_state):
            self._node.destroy_client(client)

    def _wait_for(self, client: Client, timeout: float) -> None:
        if not client.wait_for_service(timeout):
            raise LifecycleError(
                f"{self.target}: managed node not found within {timeout:g} s; check that it is running, its namespace "
                "and its ROS_DOMAIN_ID"
            )

    def _call(self, client: Client, request: Any, timeout: float) -> Any:
        self._wait_for(client, timeout)
        done = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: done.set())
        end = time.monotonic() + timeout
        while not done.wait(POLL_PERIOD):
            problem = ""
            if not client.service_is_ready():
                problem = f"the node ended before it responded to {client.srv_name}"
            elif time.monotonic() > end:
                problem = f"no response from {client.srv_name} within {timeout:g} s"
            if problem and not done.is_set():
                client.remove_pending_request(future)
                raise LifecycleError(f"{self.target}: {problem}")
        return future.result()


def _label(transition: int) -> str:
    names = {value: name for name, value in vars(type(Transition())).items() if isinstance(value, int)}
    return names.get(transition, str(transition)).removeprefix("TRANSITION_").lower()
