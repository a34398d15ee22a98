"""Transforms of TF messages, without tf2_ros."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from geometry_msgs.msg import Transform
from tf2_msgs.msg import TFMessage

from lgnet_core.geometry.hand_frame import Pose
from lgnet_core.geometry.transform_tree import TransformTree


def store_transforms(tree: TransformTree, message: TFMessage, warn: Callable[[str], object]) -> None:
    """Store the transforms of a message; invalid ones are reported and left out, as tf2 does.

    Like in tf2, frames have no leading slash, which some publishers from ROS 1 still send.

    Args:
        warn: is called with a text for the user.
    """
    for stamped in message.transforms:
        parent, child = stamped.header.frame_id.lstrip("/"), stamped.child_frame_id.lstrip("/")
        try:
            tree.set(parent, child, pose_of_transform(stamped.transform))
        except ValueError as error:
            warn(f"Transform from {child!r} to {parent!r} is ignored: {error}; correct its publisher")


def pose_of_transform(transform: Transform) -> Pose:
    """A ROS transform as a pose."""
    t, q = transform.translation, transform.rotation
    return Pose(np.array([t.x, t.y, t.z]), np.array([q.x, q.y, q.z, q.w]))
