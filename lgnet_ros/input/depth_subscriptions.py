"""Subscriptions to the depth images, their calibration and the static transforms."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

from lgnet_core.geometry.transform_tree import TransformTree
from lgnet_ros import topics
from lgnet_ros.input.depth import DepthInput
from lgnet_ros.input.subscription import QoSMatchingSubscription
from lgnet_ros.input.tf_messages import store_transforms
from lgnet_ros.qos import static_tf_profile

if TYPE_CHECKING:
    from rclpy.subscription import Subscription


class DepthSubscriptions:
    """Feeds a :class:`~lgnet_ros.input.depth.DepthInput` from the node's topics.

    tf2_ros is not used: its listener also receives every message on ``/tf``, and without ROS 2 from apt it is missing.

    Args:
        node: owner of the subscriptions.
        policy: value of the parameter ``image_qos``.

    Attributes:
        input: the source of depth maps.
        subscriptions: to the depth images and to their camera_info; to be updated before the one to the images, since
            the executor takes ready messages in the order of creation.
    """

    def __init__(self, node: Node, policy: str) -> None:
        self._node = node
        self._frames = TransformTree()
        topic, info_topic = node.resolve_topic_name(topics.DEPTH), topics.depth_camera_info_topic(node)
        self.input = DepthInput(topic, info_topic, self._frames)
        self._depth = QoSMatchingSubscription(node, Image, topic, policy, self._on_depth)
        info = QoSMatchingSubscription(
            node, CameraInfo, info_topic, policy, self.input.put_info, on_replaced=self.input.forget_info
        )
        self.subscriptions = (info, self._depth)
        self._static: Subscription | None = None
        self._last_received = time.monotonic()

    def update(self) -> None:
        """Subscribe, or adapt the subscriptions to their publishers."""
        if self._static is None:
            self._static = self._node.create_subscription(
                TFMessage, topics.TF_STATIC, self._on_static_transforms, static_tf_profile()
            )
        for subscription in self.subscriptions:
            subscription.update()

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self.subscriptions:
            subscription.close()
        if self._static is not None:
            self._node.destroy_subscription(self._static)
            self._static = None

    def explain_silence(self, timeout: float) -> str:
        """Why no depth image was received for ``timeout`` seconds; empty if one was."""
        elapsed = time.monotonic() - self._last_received
        if elapsed <= timeout:
            return ""
        explanation = self._depth.explain_no_messages()
        return f"Depth is not used: no depth image received for {elapsed:.1f} s on {self._depth.topic}: {explanation}"

    def _on_depth(self, message: Image) -> None:
        self._last_received = time.monotonic()
        self.input.put(message)

    def _on_static_transforms(self, message: TFMessage) -> None:
        store_transforms(self._frames, message, self._node.get_logger().warning)
