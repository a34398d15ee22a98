"""Demo camera: publishes the bundled clip as images, depth images and camera_info in a loop."""

from __future__ import annotations

import array
import sys
from collections.abc import Sequence

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from lgnet_core.data.clip import Clip, read_clip
from lgnet_core.data.clip_depth import clip_depth
from lgnet_core.types import Camera, FloatArray
from lgnet_ros import topics
from lgnet_ros.output.messages import to_image
from lgnet_ros.process.runner import NodeRunner
from lgnet_ros.topics import camera_info_topic

FRAME_ID = "camera_color_optical_frame"


class DemoCamera(Node):
    """Publishes ``image`` and ``camera_info``, on request ``depth`` too, with equal stamps.

    Depth images are registered to the images, 16UC1 millimetres (:mod:`lgnet_core.data.clip_depth`).

    The clip is played at its original speed whatever the rate, alternately forwards and backwards, so that hands never
    jump.

    Parameters: ``rate`` (Hz), ``frame_id``, ``reliability`` (``reliable`` or ``best_effort``), ``depth`` (whether to
    publish depth images).
    """

    def __init__(self, clip: Clip | None = None) -> None:
        super().__init__("demo_camera")
        clip = read_clip() if clip is None else clip
        rate = float(self.declare_parameter("rate", 30.0).value)
        frame_id = str(self.declare_parameter("frame_id", FRAME_ID).value)
        reliability = str(self.declare_parameter("reliability", "reliable").value)
        with_depth = bool(self.declare_parameter("depth", False).value)
        qos = QoSProfile(depth=5, reliability=ReliabilityPolicy[reliability.upper()])
        self._images = [to_image(frame, Header(frame_id=frame_id)) for frame in clip.frames]
        maps = clip_depth(clip) if with_depth else []
        self._depth_images = [to_depth_image(depth, Header(frame_id=frame_id)) for depth in maps]
        self._info = to_camera_info(clip.camera, frame_id)
        self._clip_frames_per_image = clip.frames_per_second / rate
        self._count = 0
        self._image_publisher = self.create_publisher(Image, topics.IMAGE, qos)
        self._info_publisher = self.create_publisher(CameraInfo, camera_info_topic(self), qos)
        self._depth_publisher = self.create_publisher(Image, topics.DEPTH, qos) if with_depth else None
        # Steady time: like a real camera, it continues while simulated time is paused.
        self.create_timer(1 / rate, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.get_logger().info(
            f"Publishing {len(self._images)} images of {clip.camera.width}x{clip.camera.height} pixels at {rate:g} Hz "
            f"on {self._image_publisher.topic_name} ({reliability})"
        )

    def _publish(self) -> None:
        k = ping_pong(int(self._count * self._clip_frames_per_image), len(self._images))
        image = self._images[k]
        image.header.stamp = self._info.header.stamp = self.get_clock().now().to_msg()
        self._info_publisher.publish(self._info)
        if self._depth_publisher is not None:
            self._depth_images[k].header.stamp = image.header.stamp
            self._depth_publisher.publish(self._depth_images[k])
        self._image_publisher.publish(image)
        self._count += 1


def ping_pong(k: int, count: int) -> int:
    """Index k of the periodic sequence 0, 1, ..., count - 1, count - 2, ..., 1, 0, 1, ..."""
    if count == 1:
        return 0
    k %= 2 * (count - 1)
    return min(k, 2 * (count - 1) - k)


def to_depth_image(metres: FloatArray, header: Header) -> Image:
    """Convert a depth map (H, W) to 16UC1 millimetres."""
    height, width = metres.shape
    data = array.array("B", np.rint(1000 * metres).astype("<u2").tobytes())
    return Image(header=header, encoding="16UC1", height=height, width=width, step=2 * width, data=data)


def to_camera_info(camera: Camera, frame_id: str) -> CameraInfo:
    """Convert a camera of unrectified images to a message without a stamp."""
    matrix = camera.matrix
    info = CameraInfo(height=camera.height, width=camera.width, distortion_model="plumb_bob")
    info.header.frame_id = frame_id
    info.d = [*camera.distortion.tolist(), *[0.0] * 5][: max(5, len(camera.distortion))]
    info.k = matrix.ravel().tolist()
    info.r = np.eye(3).ravel().tolist()
    info.p = np.column_stack([matrix, np.zeros(3)]).ravel().tolist()
    return info


def main(args: Sequence[str] | None = None) -> int:
    with NodeRunner(args) as runner:
        return runner.spin([DemoCamera()])


if __name__ == "__main__":
    sys.exit(main())
