"""What launch does, for where there is no launch: take a managed node through its transitions, from outside."""

from __future__ import annotations

import threading
from typing import Any

from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.client import Client
from rclpy.node import Node


class LifecycleError(RuntimeError):
    """A managed node that is not there, or that refused a transition; the message says what to do."""


class LifecycleClient:
    """Asks a managed node for its state and for transitions.

    Calls wait, so they must not be made from a callback of the executor that spins ``node``.

    Args:
        node: any node that another thread spins.
        target: name of the managed node, e.g. ``"/hands"``.
    """

    def __init__(self, node: Node, target: str) -> None:
        self.target = target
        self._node = node
        self._get: Client = node.create_client(GetState, f"{target}/get_state")
        self._change: Client = node.create_client(ChangeState, f"{target}/change_state")

    def bring_up(self, appear: float = 30.0, patience: float = 120.0) -> None:
        """Configure and activate, from wherever the node is; nothing happens if it is active.

        Args:
            appear: seconds to wait for the node.
            patience: seconds for one transition: reading and warming up a network takes its time.

        Raises:
            LifecycleError: if the node does not appear, does not answer, or fails.
        """
        state = self.state(appear)
        if state == State.PRIMARY_STATE_UNCONFIGURED:
            self.change(Transition.TRANSITION_CONFIGURE, patience)
            state = State.PRIMARY_STATE_INACTIVE
        if state == State.PRIMARY_STATE_INACTIVE:
            self.change(Transition.TRANSITION_ACTIVATE, patience)
        elif state != State.PRIMARY_STATE_ACTIVE:
            raise LifecycleError(f"{self.target}: is in state {state} and cannot be activated; start it again")

    def state(self, timeout: float = 10.0) -> int:
        """The node's state, one of ``lifecycle_msgs.msg.State.PRIMARY_STATE_*``."""
        return int(self._call(self._get, GetState.Request(), timeout).current_state.id)

    def change(self, transition: int, timeout: float = 10.0) -> None:
        """Request a transition, one of ``lifecycle_msgs.msg.Transition.TRANSITION_*``.

        Raises:
            LifecycleError: if the node refuses it or fails at it.
        """
        request = ChangeState.Request()
        request.transition.id = transition
        if not self._call(self._change, request, timeout).success:
            raise LifecycleError(f"{self.target}: {_label(transition)} failed; the node's log says why")

    def destroy(self) -> None:
        for client in (self._get, self._change):
            self._node.destroy_client(client)

    def _call(self, client: Client, request: Any, timeout: float) -> Any:
        if not client.wait_for_service(timeout):
            raise LifecycleError(
                f"{self.target}: no such managed node within {timeout:g} s; is it running, in this namespace and "
                f"with this ROS_DOMAIN_ID?"
            )
        answered = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: answered.set())
        if not answered.wait(timeout):
            client.remove_pending_request(future)
            raise LifecycleError(f"{self.target}: no answer from {client.srv_name} within {timeout:g} s")
        return future.result()


def _label(transition: int) -> str:
    names = {value: name for name, value in vars(type(Transition())).items() if isinstance(value, int)}
    return names.get(transition, str(transition)).removeprefix("TRANSITION_").lower()
