"""Topics of the node: names, types and QoS. The table in the documentation is generated from :data:`TOPICS`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lgnet_core.messages.names import CAMERA_INFO, camera_info_of

if TYPE_CHECKING:
    from rclpy.node import Node

IMAGE = "image"
DEPTH = "depth"
DEPTH_CAMERA_INFO = "depth_camera_info"
JOINTS = "hands/joints"
JOINT_STATES = "hands/joint_states"
MESH = "hands/mesh"
INTER_HAND = "hands/inter_hand"
MARKERS = "hands/markers"
POINTS = "hands/points"
OPENXR = "hands/openxr"
PLANNING_SCENE = "hands/planning_scene"
OVERLAY = "hands/overlay"
TF = "/tf"
TF_STATIC = "/tf_static"
DIAGNOSTICS = "/diagnostics"


def camera_info_topic(node: Node) -> str:
    """Resolved camera_info topic: as remapped, otherwise the one beside the image topic."""
    return _remapped_or_beside(node, CAMERA_INFO, IMAGE)


def depth_camera_info_topic(node: Node) -> str:
    """Resolved camera_info topic of the depth images: as remapped, otherwise the one beside the depth topic."""
    return _remapped_or_beside(node, DEPTH_CAMERA_INFO, DEPTH)


def _remapped_or_beside(node: Node, info: str, image: str) -> str:
    resolved = node.resolve_topic_name(info)
    remapped = resolved != node.resolve_topic_name(info, only_expand=True)
    return resolved if remapped else camera_info_of(node.resolve_topic_name(image))


_OUTPUT = "reliable, keep last 5"
_INPUT = "matches the publisher (`image_qos`)"


@dataclass(frozen=True)
class Topic:
    """Documentation of one topic.

    Args:
        name: relative names are in the node's namespace.
        message: type as in ``ros2 topic info``, without ``msg/``.
        when: when it is published, or what it is used for.
    """

    name: str
    message: str
    qos: str
    when: str
    subscribed: bool = False


TOPICS: tuple[Topic, ...] = (
    Topic(IMAGE, "sensor_msgs/Image", _INPUT, "the latest image is processed", subscribed=True),
    Topic(
        f"{IMAGE}/compressed",
        "sensor_msgs/CompressedImage",
        _INPUT,
        "instead of `image`, if `image_transport` is `compressed`",
        subscribed=True,
    ),
    Topic(
        CAMERA_INFO,
        "sensor_msgs/CameraInfo",
        _INPUT,
        "calibration of the images; unless remapped, the topic beside `image`",
        subscribed=True,
    ),
    Topic(
        DEPTH,
        "sensor_msgs/Image",
        _INPUT,
        "if `use_depth` is set: 16UC1 in millimetres or 32FC1 in metres; determines the size and distance of the hands",
        subscribed=True,
    ),
    Topic(
        DEPTH_CAMERA_INFO,
        "sensor_msgs/CameraInfo",
        _INPUT,
        "if `use_depth` is set: calibration of `depth`; unless remapped, the topic `camera_info` beside `depth`",
        subscribed=True,
    ),
    Topic(
        TF_STATIC,
        "tf2_msgs/TFMessage",
        "reliable, transient local, keep last 100",
        "if `use_depth` is set: transform between the frames of `depth` and `image`",
        subscribed=True,
    ),
    Topic(JOINTS, "lgnet_ros/HandJointsArray", _OUTPUT, "every image; empty if there are no hands"),
    Topic(MESH, "lgnet_ros/HandMeshArray", _OUTPUT, "every image; empty if there are no hands"),
    Topic(
        JOINT_STATES,
        "sensor_msgs/JointState",
        _OUTPUT,
        "every image with hands, while subscribed to; anatomical angles",
    ),
    Topic(INTER_HAND, "lgnet_ros/InterHandTransform", _OUTPUT, "every image with both hands, while subscribed to"),
    Topic(MARKERS, "visualization_msgs/MarkerArray", _OUTPUT, "every image, while subscribed to; meshes for RViz"),
    Topic(POINTS, "sensor_msgs/PointCloud2", _OUTPUT, "every image, while subscribed to; vertices of both hands"),
    Topic(
        OPENXR, "lgnet_ros/OpenXRHandJoints", _OUTPUT, "every image, while subscribed to; OpenXR's 26 joints per hand"
    ),
    Topic(
        PLANNING_SCENE,
        "moveit_msgs/CollisionObject",
        _OUTPUT,
        "at `collision_rate`, while subscribed to; one message per hand. Only where moveit_msgs is installed",
    ),
    Topic(OVERLAY, "sensor_msgs/Image", _OUTPUT, "at `overlay_rate`, while subscribed to; image with drawn hands"),
    Topic(TF, "tf2_msgs/TFMessage", "reliable, keep last 100", "every image with hands: `hand_right`, `hand_left`"),
    Topic(DIAGNOSTICS, "diagnostic_msgs/DiagnosticArray", "reliable, keep last 1", "once per second"),
)
"""All topics of the node, subscribed ones first."""
