"""Poses of TF frames in one another: tf2_ros where it is installed, otherwise the latest messages of /tf."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.time import Time
from tf2_msgs.msg import TFMessage

from lgnet_core.geometry.hand_frame import Pose
from lgnet_core.geometry.transform_tree import TransformTree
from lgnet_ros.input.tf_messages import pose_of_transform, store_transforms
from lgnet_ros.interop import load_optional
from lgnet_ros.qos import static_tf_profile, tf_profile
from lgnet_ros.topics import TF, TF_STATIC


class FrameLookup:
    """Looks up the latest transform between two frames.

    Args:
        node: owner of the subscriptions.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._buffer_lookup = load_optional("tf2_ros", self._listen)
        if self._buffer_lookup is None:
            self._tree = TransformTree()
            node.create_subscription(TFMessage, TF, self._on_transforms, tf_profile())
            node.create_subscription(TFMessage, TF_STATIC, self._on_transforms, static_tf_profile())

    def lookup(self, target: str, source: str) -> Pose | None:
        """``T_target_source``, which takes points of ``source`` into ``target``; None if it is not known."""
        target, source = target.lstrip("/"), source.lstrip("/")
        if target == source:
            return Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
        if self._buffer_lookup is None:
            return self._tree.lookup(target, source)
        try:
            return pose_of_transform(self._buffer_lookup(target, source, Time()).transform)
        except Exception:  # tf2's exceptions: unknown or unconnected frames
            return None

    def _listen(self, tf2_ros: Any) -> Callable[[str, str, Time], Any]:
        buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(buffer, self._node)
        return buffer.lookup_transform

    def _on_transforms(self, message: TFMessage) -> None:
        store_transforms(self._tree, message, self._node.get_logger().warning)
