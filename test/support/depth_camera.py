"""A camera with depth in a ROS domain."""

from __future__ import annotations

import array

import numpy as np
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from support.fixed_hands import CAMERA
from support.ros_domain import RosDomain

WIDTH, HEIGHT = CAMERA.width, CAMERA.height
PERIOD = 100_000_000  # nanoseconds between two images


class DepthCamera:
    """Publishes images, their calibration and, on request, depth images of the same stamp."""

    def __init__(self, ros_domain: RosDomain) -> None:
        self.node = ros_domain.node
        create = self.node.create_publisher
        self.images, self.depth = create(Image, "image", 5), create(Image, "depth", 5)
        self.infos = create(CameraInfo, "camera_info", 5)
        self.stamp = 1_700_000_000_000_000_000

    def publish(self, metres: float | None, value: int = 255, info: bool = True) -> Header:
        """Publish an image, with a depth image of a wall unless ``metres`` is None.

        Args:
            value: of all pixels, which controls the fixed tracker, see :mod:`support.fixed_hands`.
            info: publish the calibration as well.
        """
        self.stamp += PERIOD
        header = Header(frame_id="camera")
        header.stamp.sec, header.stamp.nanosec = divmod(self.stamp, 1_000_000_000)
        size = {"width": WIDTH, "height": HEIGHT}
        if info:
            self.infos.publish(CameraInfo(header=header, k=CAMERA.matrix.reshape(-1), **size))
        if metres is not None:
            rows = np.full((HEIGHT, WIDTH), 1000 * metres, "<u2").tobytes()
            data = array.array("B", rows)
            self.depth.publish(Image(header=header, encoding="16UC1", step=2 * WIDTH, data=data, **size))
        data = array.array("B", bytes([value]) * (3 * WIDTH * HEIGHT))
        self.images.publish(Image(header=header, encoding="rgb8", step=3 * WIDTH, data=data, **size))
        return header

    def close(self) -> None:
        for publisher in (self.images, self.depth, self.infos):
            self.node.destroy_publisher(publisher)
