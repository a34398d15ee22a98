"""Tests of the lifecycle client with a managed node of rclpy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lifecycle_msgs.msg import State, Transition
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from support.ros_domain import RosDomain
from support.waiting import TIMEOUT

from lgnet_ros.process.lifecycle import LifecycleClient, LifecycleError


class ManagedNode(LifecycleNode):
    """Fails to configure a given number of times."""

    num_failures = 0

    def on_configure(self, state):
        self.num_failures -= 1
        return TransitionCallbackReturn.SUCCESS if self.num_failures < 0 else TransitionCallbackReturn.FAILURE


@pytest.fixture
def managed(ros_domain: RosDomain) -> Iterator[ManagedNode]:
    node = ManagedNode("managed", context=ros_domain.context)
    ros_domain.executor.add_node(node)
    yield node
    ros_domain.executor.remove_node(node)
    node.destroy_node()


def test_bring_up_from_every_state(ros_domain, managed):
    client = LifecycleClient(ros_domain.node, "/managed")
    for transitions in (
        [],
        [Transition.TRANSITION_DEACTIVATE],
        [Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP],
    ):
        for transition in transitions:
            client.change(transition, TIMEOUT)
        client.bring_up(TIMEOUT, TIMEOUT)
        assert client.state(TIMEOUT) == State.PRIMARY_STATE_ACTIVE
    client.change(Transition.TRANSITION_ACTIVE_SHUTDOWN, TIMEOUT)
    with pytest.raises(LifecycleError, match="restart the node"):
        client.bring_up(TIMEOUT, TIMEOUT)
    client.destroy()


def test_failed_transition_is_reported_and_can_be_repeated(ros_domain, managed):
    managed.num_failures = 1
    client = LifecycleClient(ros_domain.node, "/managed")
    with pytest.raises(LifecycleError, match="/managed: transition configure failed; see the node's log"):
        client.bring_up(TIMEOUT, TIMEOUT)
    client.bring_up(TIMEOUT, TIMEOUT)
    client.destroy()


def test_missing_node_is_reported(ros_domain):
    client = LifecycleClient(ros_domain.node, "/missing")
    with pytest.raises(LifecycleError, match=r"/missing: managed node not found within 0.2 s.*ROS_DOMAIN_ID"):
        client.state(timeout=0.2)
    client.destroy()
