"""Depth images as depth maps that are registered to the image, or the reason why there is none."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from lgnet_core.geometry.depth_registration import DepthRegistration
from lgnet_core.geometry.hand_frame import Pose
from lgnet_core.geometry.transform_tree import TransformTree
from lgnet_core.messages.camera_info import CameraConverter
from lgnet_core.messages.image import decode_depth
from lgnet_core.messages.invalid_message import InvalidMessageError
from lgnet_core.types import Camera, DepthMap
from lgnet_ros.input.depth_buffer import BUFFER_DURATION, DepthBuffer
from lgnet_ros.rate_limit import stamp_to_ns

_IDENTITY = Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))


class DepthInput:
    """Matches depth images to images by their stamps, decodes them and registers them where necessary.

    A depth image with the frame_id of the image and the same calibration is registered already. Otherwise its
    camera_info and the static transform between the two frames are needed.

    Args:
        topic, info_topic: resolved names of the depth images and of their camera_info.
        frames: static transforms.

    Attributes:
        problem: why the last :meth:`lookup` gave no depth map, with the remedy; empty if it gave one.
    """

    def __init__(self, topic: str, info_topic: str, frames: TransformTree) -> None:
        self.problem = ""
        self._topic, self._info_topic, self._frames = topic, info_topic, frames
        self._buffer = DepthBuffer()
        self._converter = CameraConverter(topic)
        self._info: CameraInfo | None = None
        self._registration: tuple[tuple[object, ...], DepthRegistration] | None = None

    def put(self, message: Image) -> None:
        """Store a depth image. Does not block."""
        self._buffer.put(message)

    def put_info(self, message: CameraInfo) -> None:
        """Store the calibration of the depth camera. Does not block."""
        self._info = message

    def forget_info(self) -> None:
        """Discard the calibration, since its publisher is gone."""
        self._info = None

    def lookup(self, header: Header, camera: Camera, max_age: float) -> DepthMap | None:
        """The depth map for an image: of the same stamp, or else of the nearest one.

        Args:
            header, camera: of the image.
            max_age: maximum difference of the stamps, seconds.
        """
        try:
            depth = self._lookup(header, camera, max_age)
        except InvalidMessageError as error:
            self.problem = f"Depth is not used: {self._topic}: {error}"
            return None
        except _NoDepthError as error:
            self.problem = f"Depth is not used: {error}"
            return None
        self.problem = ""
        return depth

    def _lookup(self, header: Header, camera: Camera, max_age: float) -> DepthMap:
        stamp = stamp_to_ns(header.stamp)
        message = self._buffer.nearest(stamp)
        if message is None:
            raise _NoDepthError(f"no depth image received on {self._topic}; start the depth stream, or remap depth")
        depth_stamp = stamp_to_ns(message.header.stamp)
        age = (stamp - depth_stamp) / 1e9
        if abs(age) > max_age:
            remedy = "let the driver synchronise both streams, or raise depth_max_age"
            if age < 0:
                remedy += f"; depth is kept for {BUFFER_DURATION:g} s while images wait, see the latency in diagnostics"
            raise _NoDepthError(
                f"the depth image nearest to the image is {abs(age):.3f} s {'older' if age > 0 else 'newer'}, "
                f"depth_max_age is {max_age:g} s; {remedy}"
            )
        metres = decode_depth(message)
        registration = self._registration_to(header, camera, message)
        return DepthMap(metres if registration is None else registration(metres), depth_stamp)

    def _registration_to(self, header: Header, camera: Camera, message: Image) -> DepthRegistration | None:
        """Registration of a depth image to the image; None if it is registered already."""
        size, same_frame = (message.width, message.height), message.header.frame_id == header.frame_id
        same_size = size == (camera.width, camera.height)
        info = self._info
        if info is None and same_frame and same_size:
            return None
        if info is None:
            raise _NoDepthError(
                f"{self._topic} is not registered to the image ({size[0]}x{size[1]} pixels in frame "
                f"{message.header.frame_id!r}), and no camera_info is received on {self._info_topic}; publish it, or "
                "let the driver align depth to colour"
            )
        depth_camera = self._converter.convert(info, *size, "auto")
        if depth_camera is None:
            raise _NoDepthError(f"the depth camera is not calibrated (K is zero in {self._info_topic})")
        if same_frame and same_size and _equal(depth_camera, camera):
            return None
        # Like tf2, the tree has no leading slashes, which some headers from ROS 1 still have.
        target, source = header.frame_id.lstrip("/"), message.header.frame_id.lstrip("/")
        pose = _IDENTITY if same_frame else self._frames.lookup(target, source)
        if pose is None:
            raise _NoDepthError(
                f"no static transform from the frame of the depth images, {message.header.frame_id!r}, to that of the "
                f"images, {header.frame_id!r}; publish it on /tf_static, or let the driver align depth to colour"
            )
        key = (depth_camera, camera, pose.position.tobytes(), pose.quaternion.tobytes())
        if self._registration is None or self._registration[0] != key:
            self._registration = key, DepthRegistration(depth_camera, camera, pose.rotation, pose.position)
        return self._registration[1]


class _NoDepthError(Exception):
    """There is no depth map for an image; the message is for the user."""


def _equal(first: Camera, second: Camera) -> bool:
    """Whether two cameras of one image size project alike, to a fraction of a pixel."""
    return np.allclose(first.matrix, second.matrix, atol=0.5) and np.array_equal(
        np.trim_zeros(first.distortion, "b"), np.trim_zeros(second.distortion, "b")
    )
