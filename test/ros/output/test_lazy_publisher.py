"""Tests of the lazy publisher: publishing while active, detection of incompatible subscribers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rclpy.lifecycle import LifecycleNode, LifecycleState
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import serialize_message
from std_msgs.msg import String
from support.ros_domain import RosDomain
from support.waiting import wait_for

from lgnet_ros.output.lazy_publisher import LazyPublisher, qos_problems
from lgnet_ros.qos import tf_profile

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
ACTIVE = LifecycleState(state_id=3, label="active")


class LoggerStub:
    """Records warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def node(ros_domain: RosDomain, monkeypatch: pytest.MonkeyPatch) -> Iterator[LifecycleNode]:
    node = LifecycleNode("hands", namespace="arm", context=ros_domain.context, use_global_arguments=False)
    log = LoggerStub()
    monkeypatch.setattr(node, "get_logger", lambda: log)
    ros_domain.executor.add_node(node)
    yield node
    ros_domain.executor.remove_node(node)
    node.destroy_node()


def test_messages_and_bytes_are_published_while_the_node_is_active(ros_domain: RosDomain, node: LifecycleNode) -> None:
    publisher = LazyPublisher(node, String, "hands/words")
    assert not publisher.has_subscribers
    received = ros_domain.subscribe(String, "/arm/hands/words")
    wait_for(lambda: publisher.has_subscribers)
    publisher.publish(String(data="early"))  # discarded
    LifecycleNode.on_activate(node, ACTIVE)
    publisher.publish(String(data="message"))
    publisher.publish(serialize_message(String(data="bytes")))
    wait_for(lambda: len(received) == 2)
    assert [message.data for message in received] == ["message", "bytes"]
    assert publisher.qos_problems() == node.get_logger().warnings == []
    publisher.destroy()
    wait_for(lambda: ros_domain.node.count_publishers("/arm/hands/words") == 0)


def test_incompatible_subscribers_are_reported_once(ros_domain: RosDomain, node: LifecycleNode) -> None:
    first, second = LazyPublisher(node, String, "hands/first"), LazyPublisher(node, String, "hands/second")
    for topic in ("/arm/hands/first", "/arm/hands/second"):
        ros_domain.node.create_subscription(String, topic, lambda _: None, LATCHED)
    log = node.get_logger()
    publishers = (first, second)
    wait_for(
        lambda: [p.report_qos_problems() for p in publishers] and len(log.warnings) == 2, "a warning for each topic"
    )
    assert sorted(log.warnings) == first.qos_problems() + second.qos_problems()
    for topic, text in zip(("/arm/hands/first", "/arm/hands/second"), sorted(log.warnings)):
        assert text.startswith(
            f"{topic}: incompatible QoS with subscriber /test: it requests reliable, transient_local"
        )
        assert "the publisher offers reliable, volatile" in text
    assert not first.has_subscribers
    first._qos_reporter.on_event(None)  # like for another subscriber of the same node
    first.report_qos_problems()
    assert len(log.warnings) == 2, "must be throttled"


def test_incompatible_subscribers_of_any_publisher(ros_domain: RosDomain, node: LifecycleNode) -> None:
    publisher = node.create_publisher(String, "/elsewhere", tf_profile())
    assert qos_problems(node, publisher) == []
    ros_domain.node.create_subscription(String, "/elsewhere", lambda _: None, LATCHED)
    (text,) = wait_for(lambda: qos_problems(node, publisher))
    assert "/elsewhere: incompatible QoS with subscriber /test" in text
