"""A topic that the node publishes, which can say who subscribes to it without being able to hear it."""

from __future__ import annotations

from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.publisher import Publisher

from lgnet_ros.qos import incompatible_subscribers, output_overrides, output_profile
from lgnet_ros.qos_events import Incompatible

try:
    from rclpy.event_handler import PublisherEventCallbacks
except ImportError:  # ROS 2 Humble
    from rclpy.qos_event import PublisherEventCallbacks


class Output:
    """One topic under ``hands/``.

    It is a lifecycle publisher: what a late worker hands it while the node is not active is thrown away.

    Args:
        node: whose publisher it is.
        message_type: a ROS message.
        topic: relative; namespace and remappings are the node's.
    """

    def __init__(self, node: LifecycleNode, message_type: type[Any], topic: str) -> None:
        self._node = node
        self._incompatible = Incompatible(node, self.problems)
        self._publisher = node.create_lifecycle_publisher(
            message_type,
            topic,
            output_profile(),
            event_callbacks=PublisherEventCallbacks(incompatible_qos=self._incompatible.notice),
            qos_overriding_options=output_overrides(),
        )

    def publish(self, message: Any) -> None:
        """A message, or one that is serialised already (bytes)."""
        self._publisher.publish(message)

    @property
    def wanted(self) -> bool:
        """Whether anybody hears it."""
        return bool(self._publisher.get_subscription_count())

    def problems(self) -> list[str]:
        """A sentence for each subscriber that cannot hear it."""
        return problems(self._node, self._publisher)

    def watch(self) -> None:
        """To be called now and then: warn of subscribers that cannot hear it."""
        self._incompatible.tell()

    def destroy(self) -> None:
        """Give the publisher back to the node."""
        self._node.destroy_lifecycle_publisher(self._publisher)


def problems(node: Node, publisher: Publisher) -> list[str]:
    """A sentence for each subscriber that cannot hear a publisher of the node's."""
    topic = publisher.topic_name
    return incompatible_subscribers(topic, publisher.qos_profile, node.get_subscriptions_info_by_topic(topic))
