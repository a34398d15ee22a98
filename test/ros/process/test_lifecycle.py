"""The client that does what launch does, against a managed node of rclpy's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lifecycle_msgs.msg import State, Transition
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from support.ros_world import World

from lgnet_ros.process.lifecycle import LifecycleClient, LifecycleError


class Managed(LifecycleNode):
    """Refuses to be configured as often as it is told to."""

    refusals = 0

    def on_configure(self, state):
        self.refusals -= 1
        return TransitionCallbackReturn.SUCCESS if self.refusals < 0 else TransitionCallbackReturn.FAILURE


@pytest.fixture
def managed(world: World) -> Iterator[Managed]:
    node = Managed("managed", context=world.context)
    world.executor.add_node(node)
    yield node
    world.executor.remove_node(node)
    node.destroy_node()


def test_bring_up_from_every_state(world, managed):
    client = LifecycleClient(world.node, "/managed")
    for down in (
        [],
        [Transition.TRANSITION_DEACTIVATE],
        [Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP],
    ):
        for transition in down:
            client.change(transition)
        client.bring_up()
        assert client.state() == State.PRIMARY_STATE_ACTIVE
    client.change(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    with pytest.raises(LifecycleError, match="start it again"):
        client.bring_up()
    client.destroy()


def test_a_refusal_is_told_and_can_be_mended(world, managed):
    managed.refusals = 1
    client = LifecycleClient(world.node, "/managed")
    with pytest.raises(LifecycleError, match="/managed: configure failed; the node's log says why"):
        client.bring_up()
    client.bring_up()
    client.destroy()


def test_nobody_there(world):
    client = LifecycleClient(world.node, "/nobody")
    with pytest.raises(LifecycleError, match=r"/nobody: no such managed node within 0.2 s.*ROS_DOMAIN_ID"):
        client.state(timeout=0.2)
    client.destroy()
