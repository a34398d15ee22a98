"""The node's topics: their names, and one table from which README's is made."""

from __future__ import annotations

from dataclasses import dataclass

IMAGE = "image"
CAMERA_INFO = "camera_info"
JOINTS = "hands/joints"
MESH = "hands/mesh"
INTER_HAND = "hands/inter_hand"
MARKERS = "hands/markers"
POINTS = "hands/points"
OVERLAY = "hands/overlay"
TF = "/tf"
DIAGNOSTICS = "/diagnostics"

_OUTPUT = "reliable, keep last 5"
_INTAKE = "as the publisher (`image_qos`)"


@dataclass(frozen=True)
class Topic:
    """What a user must know of one topic.

    Args:
        name: relative names take the node's namespace.
        message: type, as ``ros2 topic info`` shows it less ``msg/``.
        when: when it is published, or what it is read for.
    """

    name: str
    message: str
    qos: str
    when: str
    subscribed: bool = False


TOPICS: tuple[Topic, ...] = (
    Topic(IMAGE, "sensor_msgs/Image", _INTAKE, "the newest image is used", subscribed=True),
    Topic(
        f"{IMAGE}/compressed",
        "sensor_msgs/CompressedImage",
        _INTAKE,
        "instead, if asked for by `image_transport`",
        True,
    ),
    Topic(CAMERA_INFO, "sensor_msgs/CameraInfo", _INTAKE, "calibration of the images", subscribed=True),
    Topic(JOINTS, "lgnet_ros/HandJointsArray", _OUTPUT, "for each image, empty where no hand is seen"),
    Topic(MESH, "lgnet_ros/HandMeshArray", _OUTPUT, "for each image, empty where no hand is seen"),
    Topic(INTER_HAND, "lgnet_ros/InterHandTransform", _OUTPUT, "for each image in which both hands are seen"),
    Topic(MARKERS, "visualization_msgs/MarkerArray", _OUTPUT, "for each image, while subscribed to; RViz"),
    Topic(POINTS, "sensor_msgs/PointCloud2", _OUTPUT, "for each image, while subscribed to; vertices of both hands"),
    Topic(OVERLAY, "sensor_msgs/Image", _OUTPUT, "at `overlay_rate`, while subscribed to; the image with the hands"),
    Topic(TF, "tf2_msgs/TFMessage", "reliable, keep last 100", "for each hand that is seen: `hand_right`, `hand_left`"),
    Topic(DIAGNOSTICS, "diagnostic_msgs/DiagnosticArray", "reliable, keep last 1", "once a second"),
)
"""Every topic of the node, those it subscribes to first."""
