"""A subscription that keeps to the quality of service of whoever publishes, and can say why nothing comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from lgnet_ros.qos import describe, describe_publishers, intake_overrides, intake_profile, problems
from lgnet_ros.qos_events import Incompatible

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # ROS 2 Humble
    from rclpy.qos_event import SubscriptionEventCallbacks


class MatchedSubscription:
    """One topic, subscribed to as its publishers offer it, and anew when that changes.

    Publishers come and go while a node runs, and a subscription's quality of service is fixed when it is made, so
    :meth:`match` is to be called now and then.

    Args:
        node: whose subscription it is.
        message_type: a ROS message.
        topic: resolved, absolute.
        policy: the parameter ``image_qos``.
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
        self._incompatible = Incompatible(node, self.problems)
        self._subscription: Subscription | None = None
        self._profile: QoSProfile | None = None

    def match(self) -> None:
        """Subscribe, or subscribe anew if the publishers offer something else than before; warn of who does not fit."""
        self._keep_to_publishers()
        self._incompatible.tell()

    def close(self) -> None:
        """Unsubscribe; :meth:`match` subscribes again."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription = self._profile = None

    @property
    def state(self) -> str:
        """One line for the diagnostics: how it is subscribed to, by how many publishers, and what is amiss."""
        if self._profile is None:
            return "not subscribed"
        amiss = self.problems()
        publishers = f"{self._node.count_publishers(self.topic)} publisher(s)"
        return "; ".join([f"{describe(self._profile)}, {publishers}", *amiss])

    def problems(self) -> list[str]:
        """A sentence for each publisher that cannot be heard."""
        if self._profile is None:
            return []
        return problems(self.topic, self._profile, self._node.get_publishers_info_by_topic(self.topic))

    def explain_silence(self) -> str:
        """What is to be seen when nothing comes: publishers, their types and profiles, other topics of the type."""
        type_name = f"{self._message_type.__module__.partition('.')[0]}/msg/{self._message_type.__name__}"
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        lines = [describe_publishers(self.topic, type_name, publishers), *self.problems()]
        published = [(t, types) for t, types in self._node.get_topic_names_and_types() if self._others_publish(t)]
        compressed = f"{self.topic}/compressed"
        if (compressed, ["sensor_msgs/msg/CompressedImage"]) in published:
            lines.append(f"{compressed} carries compressed images: set image_transport to compressed to take those")
        elsewhere = sorted(topic for topic, types in published if type_name in types and topic != self.topic)
        if elsewhere:
            lines.append(f"{type_name} is published on {', '.join(elsewhere)}")
        return "\n".join(lines)

    def _others_publish(self, topic: str) -> bool:
        """Whether anybody but this node does: its own overlay is no camera."""
        own = (self._node.get_name(), self._node.get_namespace())
        publishers = self._node.get_publishers_info_by_topic(topic)
        return any((p.node_name, p.node_namespace) != own for p in publishers)

    def _keep_to_publishers(self) -> None:
        wanted = intake_profile(self._node, self.topic, self._policy)
        if self._profile is not None:
            if self._node.count_publishers(self.topic) == 0 or describe(wanted) == describe(self._profile):
                return
            self._node.get_logger().info(f"{self.topic}: subscribing anew, now {describe(wanted)}, as it is published")
        self.close()
        self._profile = wanted
        self._subscription = self._node.create_subscription(
            self._message_type,
            self.topic,
            self._callback,
            wanted,
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=self._incompatible.notice),
            qos_overriding_options=intake_overrides(),
        )
