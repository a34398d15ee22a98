"""Subscription that matches the QoS of the topic's publishers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from lgnet_ros.input.other_users import explain_other_users
from lgnet_ros.qos import (
    describe,
    explain_no_messages,
    incompatible_publishers,
    node_name,
    subscription_overrides,
    subscription_profile,
)
from lgnet_ros.qos_events import IncompatibleQoSReporter

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # ROS 2 Humble
    from rclpy.qos_event import SubscriptionEventCallbacks, UnsupportedEventTypeError

if TYPE_CHECKING:
    from rclpy.topic_endpoint_info import TopicEndpointInfo


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
        on_lost: called by the executor with the number of messages that were sent but did not arrive.
        depth: messages kept until the executor takes them.
        on_replaced: called by :meth:`update` when none of the previous publishers exists any more.

    Attributes:
        counts_losses: whether the middleware reports lost messages to ``on_lost``.
    """

    def __init__(
        self,
        node: Node,
        message_type: type[Any],
        topic: str,
        policy: str,
        callback: Callable[[Any], None],
        on_lost: Callable[[int], None] | None = None,
        on_replaced: Callable[[], None] | None = None,
        depth: int = 5,
    ) -> None:
        self.topic = topic
        self.counts_losses = True
        self._node = node
        self._message_type = message_type
        self._policy = policy
        self._callback = callback
        self._on_lost = on_lost
        self._on_replaced = on_replaced
        self._depth = depth
        self._publishers: frozenset[tuple[int, ...]] = frozenset()
        self._qos_reporter = IncompatibleQoSReporter(node, self.qos_problems)
        self._subscription: Subscription | None = None
        self._profile: QoSProfile | None = None

    def update(self) -> None:
        """Subscribe, or resubscribe if the publishers offer different QoS than before; log incompatible publishers."""
        self._check_replaced()
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

    def competing_publishers(self) -> str:
        """Describe the publishers with the remedy if there are several of this type; otherwise empty."""
        publishers = self._matching_publishers()
        if len(publishers) < 2:
            return ""
        return (
            f"{len(publishers)} publishers on {self.topic} ({', '.join(node_name(p) for p in publishers)}): their "
            "messages are mixed. Stop all but one, or give each camera its own topic and node"
        )

    def explain_no_messages(self) -> str:
        """Explain why no messages arrive: publishers, their types and QoS, other topics of the same type."""
        type_name = self._type_name
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        lines = [explain_no_messages(type_name, publishers), *self.qos_problems()]
        if self._matching_publishers() and len(lines) == 1 and (cause := explain_other_users()):
            lines.append(cause)
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

    @property
    def _type_name(self) -> str:
        return f"{self._message_type.__module__.partition('.')[0]}/msg/{self._message_type.__name__}"

    def _matching_publishers(self) -> list[TopicEndpointInfo]:
        """Publishers of the topic with the type of the subscription."""
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        return [publisher for publisher in publishers if publisher.topic_type == self._type_name]

    def _check_replaced(self) -> None:
        """Call ``on_replaced`` if all publishers are gone, and let others deliver their latched messages again."""
        if self._on_replaced is None:
            return
        previous = self._publishers
        self._publishers = frozenset(tuple(p.endpoint_gid) for p in self._matching_publishers())
        if previous and previous.isdisjoint(self._publishers):
            self._on_replaced()
            if self._publishers:
                self.close()

    def _has_other_publishers(self, topic: str) -> bool:
        """Whether nodes other than this one publish the topic: its own overlay is not a camera image."""
        own = (self._node.get_name(), self._node.get_namespace())
        publishers = self._node.get_publishers_info_by_topic(topic)
        return any((p.node_name, p.node_namespace) != own for p in publishers)

    def _match_publishers(self) -> None:
        profile = subscription_profile(self._node, self.topic, self._policy, self._depth)
        if self._profile is not None:
            if self._node.count_publishers(self.topic) == 0 or describe(profile) == describe(self._profile):
                return
            self._node.get_logger().info(
                f"{self.topic}: QoS of the publishers changed, resubscribing: {describe(profile)}"
            )
        self.close()
        self._profile = profile
        try:
            self._subscription = self._subscribe(profile, self._on_message_lost)
        except UnsupportedEventTypeError:  # of this middleware
            self.counts_losses = False
            self._subscription = self._subscribe(profile, None)

    def _subscribe(self, profile: QoSProfile, on_message_lost: Callable[[Any], None] | None) -> Subscription:
        return self._node.create_subscription(
            self._message_type,
            self.topic,
            self._callback,
            profile,
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=self._qos_reporter.on_event, message_lost=on_message_lost
            ),
            qos_overriding_options=subscription_overrides(),
        )

    def _on_message_lost(self, event: Any) -> None:
        """Handle rclpy's ``message_lost`` event."""
        if self._on_lost is not None:
            self._on_lost(event.total_count_change)
