"""Subscription that matches the QoS of the topic's publishers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from lgnet_ros.qos import (
    describe,
    explain_no_messages,
    incompatible_publishers,
    subscription_overrides,
    subscription_profile,
)
from lgnet_ros.qos_events import IncompatibleQoSReporter

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # ROS 2 Humble
    from rclpy.qos_event import SubscriptionEventCallbacks


class QoSMatchingSubscription:
    """Subscription to one topic, recreated whenever the QoS offered by its publishers changes.

    Publishers come and go at run time, whereas the QoS of a subscription is fixed at creation; therefore :meth:`update`
    must be called periodically.

    Args:
        node: owner of the subscription.
        message_type: ROS message class.
        topic: resolved, absolute name.
        policy: value of the parameter ``image_qos``.
        callback: called by the executor with each message.
    """

    def __init__(
        self, node: Node, message_type: type[Any], topic: str, policy: str, callback: Callable[[Any], None]
    ) -> None:
        self.topic = topic
        self._node = node
        self._message_type = message_type
        self._policy = policy
        self._callback = callback
        self._qos_reporter = IncompatibleQoSReporter(node, self.qos_problems)
        self._subscription: Subscription | None = None
        self._profile: QoSProfile | None = None

    def update(self) -> None:
        """Subscribe, or resubscribe if the publishers offer different QoS than before; log incompatible publishers."""
        self._match_publishers()
        self._qos_reporter.report()

    def close(self) -> None:
        """Unsubscribe; :meth:`update` subscribes again."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription = self._profile = None

    @property
    def status(self) -> str:
        """One line for the diagnostics: QoS of the subscription, number of publishers, QoS problems."""
        if self._profile is None:
            return "not subscribed"
        publishers = f"{self._node.count_publishers(self.topic)} publisher(s)"
        return "; ".join([f"{describe(self._profile)}, {publishers}", *self.qos_problems()])

    def qos_problems(self) -> list[str]:
        """Describe each publisher whose QoS is incompatible with the subscription."""
        if self._profile is None:
            return []
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        return incompatible_publishers(self.topic, self._profile, publishers)

    def explain_no_messages(self) -> str:
        """Explain why no messages arrive: publishers, their types and QoS, other topics of the same type."""
        type_name = f"{self._message_type.__module__.partition('.')[0]}/msg/{self._message_type.__name__}"
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        lines = [explain_no_messages(type_name, publishers), *self.qos_problems()]
        published = [
            (topic, types)
            for topic, types in self._node.get_topic_names_and_types()
            if self._has_other_publishers(topic)
        ]
        compressed = f"{self.topic}/compressed"
        if (compressed, ["sensor_msgs/msg/CompressedImage"]) in published:
            lines.append(f"Compressed images are published on {compressed}: set image_transport to compressed")
        alternatives = sorted(topic for topic, types in published if type_name in types and topic != self.topic)
        if alternatives:
            lines.append(f"{type_name} is published on {', '.join(alternatives)}")
        return "\n".join(lines)

    def _has_other_publishers(self, topic: str) -> bool:
        """Whether nodes other than this one publish the topic: its own overlay is not a camera image."""
        own = (self._node.get_name(), self._node.get_namespace())
        publishers = self._node.get_publishers_info_by_topic(topic)
        return any((p.node_name, p.node_namespace) != own for p in publishers)

    def _match_publishers(self) -> None:
        profile = subscription_profile(self._node, self.topic, self._policy)
        if self._profile is not None:
            if self._node.count_publishers(self.topic) == 0 or describe(profile) == describe(self._profile):
                return
            self._node.get_logger().info(
                f"{self.topic}: QoS of the publishers changed, resubscribing: {describe(profile)}"
            )
        self.close()
        self._profile = profile
        self._subscription = self._node.create_subscription(
            self._message_type,
            self.topic,
            self._callback,
            profile,
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=self._qos_reporter.on_event),
            qos_overriding_options=subscription_overrides(),
        )
