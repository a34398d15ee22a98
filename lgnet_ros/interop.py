"""The distribution's helpers where they are installed, equivalents of ours where they are not.

ROS from apt brings cv_bridge, sensor_msgs_py and tf2_ros; ROS from PyPI has none of them. And what is installed may
still not work: cv_bridge built for NumPy 1 fails beside NumPy 2, some versions at import, others when they are first
used. Each is therefore imported and tried once; one that fails is told in one line of the log and not used.
"""

from __future__ import annotations

import array
import functools
import importlib
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from rclpy.logging import get_logger
from sensor_msgs.msg import Image, PointCloud2, PointField
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from lgnet_core.types import FloatArray
from lgnet_ros.qos import output_overrides, tf_profile
from lgnet_ros.topics import TF

if TYPE_CHECKING:
    from rclpy.node import Node
    from rclpy.publisher import Publisher

_T = TypeVar("_T")


def helper(module: str, use: Callable[[Any], _T]) -> _T | None:
    """What ``use`` makes of a module, tried once; None where it is not installed, or fails for any reason."""
    try:
        return use(importlib.import_module(module))
    except Exception as error:
        absent = isinstance(error, ModuleNotFoundError) and error.name in (module, module.partition(".")[0])
        if not absent:
            _tell(module, " ".join(f"{type(error).__name__}: {error}".split()))
        return None


@functools.cache
def _tell(module: str, reason: str) -> None:
    """One line of the log, however often a helper is asked for."""
    get_logger("lgnet_ros").warning(f"{module} is installed but does not work ({reason}); using our own instead")


class ImageBridge:
    """cv_bridge's conversion to RGB, for 8-bit images of the encodings that it has always known.

    16 bits stay with us: cv_bridge takes the full range for granted, and a 12-bit camera's images would be dark. So
    does rgb8, which needs no conversion at all.
    """

    ENCODINGS: Mapping[str, int] = {"bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1, "yuv422": 2}
    """Name, bytes per pixel."""

    def __init__(self) -> None:
        self._convert = helper("cv_bridge", self._tried)

    @staticmethod
    def _tried(cv_bridge: Any) -> Callable[[Image, str], FloatArray]:
        convert = cv_bridge.CvBridge().imgmsg_to_cv2
        image = Image(height=1, width=2, encoding="bgr8", step=6, data=array.array("B", [1, 2, 3, 4, 5, 6]))
        converted = convert(image, "rgb8")
        if not np.array_equal(converted, [[[3, 2, 1], [6, 5, 4]]]):
            raise ValueError(f"bgr8 to rgb8 gives {np.asarray(converted).tolist()}")
        return convert

    def to_rgb(self, message: Image) -> FloatArray | None:
        """RGB (H, W, 3) uint8 of a message that fits its own size and step; None: it is left to us."""
        pixel = self.ENCODINGS.get(message.encoding)
        if self._convert is None or pixel is None or message.step % pixel:  # it cannot skip a part of a pixel
            return None
        try:
            return self._convert(message, "rgb8")
        except Exception as error:
            _tell("cv_bridge", f"{type(error).__name__} on encoding {message.encoding}")
            self._convert = None
            return None


@functools.cache
def image_bridge() -> ImageBridge:
    """The process's one bridge."""
    return ImageBridge()


_DATATYPES = {np.dtype(np.float32): PointField.FLOAT32, np.dtype(np.uint32): PointField.UINT32}


def create_cloud(header: Header, points: FloatArray) -> PointCloud2:
    """A cloud of points, in one row.

    Args:
        points: (N,) structured; its fields, of four bytes each, become the cloud's.
    """
    return _cloud_maker()(header, list(_fields(points.dtype)), points)


@functools.cache
def _fields(dtype: np.dtype[Any]) -> tuple[PointField, ...]:
    described = [(name, *dtype.fields[name][:2]) for name in dtype.names or ()]  # type: ignore[index]
    return tuple(
        PointField(name=name, offset=offset, datatype=_DATATYPES[kind], count=1) for name, kind, offset in described
    )


@functools.cache
def _cloud_maker() -> Callable[[Header, list[PointField], FloatArray], PointCloud2]:
    def tried(point_cloud2: Any) -> Callable[[Header, list[PointField], FloatArray], PointCloud2]:
        points = np.zeros(2, [("x", np.float32), ("side", np.uint32)])
        cloud = point_cloud2.create_cloud(Header(), list(_fields(points.dtype)), points)
        if (cloud.width, cloud.height, cloud.point_step, len(cloud.data)) != (2, 1, 8, 16):
            raise ValueError(f"two points of 8 bytes give {len(cloud.data)} bytes")
        return point_cloud2.create_cloud

    return helper("sensor_msgs_py.point_cloud2", tried) or _create_cloud


def _create_cloud(header: Header, fields: list[PointField], points: FloatArray) -> PointCloud2:
    return PointCloud2(
        header=header,
        height=1,
        width=len(points),
        fields=fields,
        is_bigendian=sys.byteorder == "big",
        point_step=points.itemsize,
        row_step=points.nbytes,
        data=array.array("B", points.tobytes()),
        is_dense=True,
    )


class TransformSender:
    """Publishes on ``/tf``: with the publisher of tf2_ros's broadcaster, or one of our own with its profile.

    Args:
        node: whose publisher it is.

    Attributes:
        publisher: of either.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        theirs = helper("tf2_ros", lambda tf2_ros: tf2_ros.TransformBroadcaster(node).pub_tf)
        self.publisher: Publisher = (
            node.create_publisher(TFMessage, TF, tf_profile(), qos_overriding_options=output_overrides())
            if theirs is None
            else theirs
        )

    def send(self, message: bytes) -> None:
        """Publish a serialised TFMessage."""
        self.publisher.publish(message)

    def destroy(self) -> None:
        """Give the publisher back; tf2_ros would keep it until the node ends."""
        self._node.destroy_publisher(self.publisher)
