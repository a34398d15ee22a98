"""Lifecycle publisher that knows whether it has subscribers and which of them have incompatible QoS."""

from __future__ import annotations

from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.publisher import Publisher

from lgnet_ros.qos import incompatible_subscribers, output_overrides, output_profile
from lgnet_ros.qos_events import IncompatibleQoSReporter

try:
    from rclpy.event_handler import PublisherEventCallbacks
except ImportError:  # ROS 2 Humble
    from rclpy.qos_event import PublisherEventCallbacks


class LazyPublisher:
    """Publisher of one topic under ``hands/`` whose messages need only be created while it has subscribers.

    As a lifecycle publisher, it discards messages that a late worker publishes after the node was deactivated.

    Args:
        node: owner of the publisher.
        message_type: ROS message class.
        topic: relative name; resolved with the node's namespace and remappings.
    """

    def __init__(self, node: LifecycleNode, message_type: type[Any], topic: str) -> None:
        self._node = node
        self._qos_reporter = IncompatibleQoSReporter(node, self.qos_problems)
        self._publisher = node.create_lifecycle_publisher(
            message_type,
            topic,
            output_profile(),
            event_callbacks=PublisherEventCallbacks(incompatible_qos=self._qos_reporter.on_event),
            qos_overriding_options=output_overrides(),
        )

    def publish(self, message: Any) -> None:
        """Publish a message or a serialised message (bytes)."""
        self._publisher.publish(message)

    @property
    def has_subscribers(self) -> bool:
        return bool(self._publisher.get_subscription_count())

    def qos_problems(self) -> list[str]:
        """Describe each subscriber whose QoS is incompatible with this publisher."""
        return qos_problems(self._node, self._publisher)

    def report_qos_problems(self) -> None:
        """Log subscribers whose QoS is incompatible with this publisher. Call periodically."""
        self._qos_reporter.report()

    def destroy(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_lifecycle_publisher(self._publisher)


def qos_problems(node: Node, publisher: Publisher) -> list[str]:
    """Describe each subscriber whose QoS is incompatible with a publisher of the node."""
    topic = publisher.topic_name
    return incompatible_subscribers(topic, publisher.qos_profile, node.get_subscriptions_info_by_topic(topic))
