"""An output of the node: heard by whom it fits, and it names who cannot hear it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rclpy.lifecycle import LifecycleNode, LifecycleState
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import serialize_message
from std_msgs.msg import String
from support.ros_world import World, wait_for

from lgnet_ros.output.publisher import Output, problems
from lgnet_ros.qos import tf_profile

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
ACTIVE = LifecycleState(state_id=3, label="active")


class Log:
    """Stands in for the node's logger."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def node(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[LifecycleNode]:
    node = LifecycleNode("hands", namespace="arm", context=world.context, use_global_arguments=False)
    log = Log()
    monkeypatch.setattr(node, "get_logger", lambda: log)
    world.executor.add_node(node)
    yield node
    world.executor.remove_node(node)
    node.destroy_node()


def test_messages_and_bytes_are_heard_while_the_node_is_active(world: World, node: LifecycleNode) -> None:
    output = Output(node, String, "hands/words")
    assert not output.wanted
    heard = world.hear(String, "/arm/hands/words")
    wait_for(lambda: output.wanted)
    output.publish(String(data="early"))  # thrown away
    LifecycleNode.on_activate(node, ACTIVE)
    output.publish(String(data="message"))
    output.publish(serialize_message(String(data="bytes")))
    wait_for(lambda: len(heard) == 2)
    assert [message.data for message in heard] == ["message", "bytes"]
    assert output.problems() == node.get_logger().warnings == []
    output.destroy()
    wait_for(lambda: world.node.count_publishers("/arm/hands/words") == 0)


def test_each_subscriber_that_cannot_hear_is_named_once(world: World, node: LifecycleNode) -> None:
    first, second = Output(node, String, "hands/first"), Output(node, String, "hands/second")
    for topic in ("/arm/hands/first", "/arm/hands/second"):
        world.node.create_subscription(String, topic, lambda _: None, LATCHED)
    log = node.get_logger()
    outputs = (first, second)
    wait_for(lambda: [o.watch() for o in outputs] and len(log.warnings) == 2, "a warning of each topic")
    assert sorted(log.warnings) == first.problems() + second.problems()
    for topic, text in zip(("/arm/hands/first", "/arm/hands/second"), sorted(log.warnings)):
        assert text.startswith(f"{topic}: /test cannot hear it: it asks for reliable, transient_local")
        assert "reliable, volatile is offered" in text
    assert not first.wanted
    first._incompatible.notice(None)  # as for one more of the same name
    first.watch()
    assert len(log.warnings) == 2, "told a moment ago"


def test_any_publisher_can_be_asked(world: World, node: LifecycleNode) -> None:
    publisher = node.create_publisher(String, "/elsewhere", tf_profile())
    assert problems(node, publisher) == []
    world.node.create_subscription(String, "/elsewhere", lambda _: None, LATCHED)
    (text,) = wait_for(lambda: problems(node, publisher))
    assert "/elsewhere: /test cannot hear it" in text
