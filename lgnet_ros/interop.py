"""Optional use of cv_bridge, sensor_msgs_py, tf2_ros and tf_transformations, with fallbacks if missing or broken.

ROS 2 from apt provides these packages, ROS 2 from PyPI does not. An installed package may still fail: cv_bridge built
for NumPy 1 fails with NumPy 2, depending on its version either on import or on first use. Therefore each package is
imported and tested once; if that fails, one warning is logged and the fallback is used.
"""

from __future__ import annotations

import array
import functools
import importlib
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from geometry_msgs.msg import Quaternion
from rclpy.logging import get_logger
from sensor_msgs.msg import Image, PointCloud2, PointField
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from lgnet_core.geometry.hand_frame import Pose
from lgnet_core.types import FloatArray, ImageArray
from lgnet_ros.qos import output_overrides, tf_profile
from lgnet_ros.topics import TF

if TYPE_CHECKING:
    from rclpy.node import Node
    from rclpy.publisher import Publisher

_T = TypeVar("_T")


def load_optional(module: str, load: Callable[[Any], _T]) -> _T | None:
    """Import a module and return ``load(module)``; None if it is not installed or anything fails."""
    try:
        return load(importlib.import_module(module))
    except Exception as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name in (module, module.partition(".")[0])
        if not missing:
            _warn_broken(module, " ".join(f"{type(error).__name__}: {error}".split()))
        return None


@functools.cache
def _warn_broken(module: str, reason: str) -> None:
    """Log a warning, once per module and reason."""
    get_logger("lgnet_ros").warning(f"{module} is installed but does not work ({reason}); using the built-in fallback")


class ImageBridge:
    """Conversion to RGB by cv_bridge, for 8-bit encodings supported by all its versions.

    16-bit images are not converted by cv_bridge, which assumes the full range: images of a 12-bit camera would be dark.
    Neither is rgb8, which needs no conversion.
    """

    ENCODINGS: Mapping[str, int] = {"bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1, "yuv422": 2}
    """Bytes per pixel, by encoding."""

    def __init__(self) -> None:
        self._convert = load_optional("cv_bridge", self._load)

    @staticmethod
    def _load(cv_bridge: Any) -> Callable[[Image, str], ImageArray]:
        convert = cv_bridge.CvBridge().imgmsg_to_cv2
        image = Image(height=1, width=2, encoding="bgr8", step=6, data=array.array("B", [1, 2, 3, 4, 5, 6]))
        converted = convert(image, "rgb8")
        if not np.array_equal(converted, [[[3, 2, 1], [6, 5, 4]]]):
            raise ValueError(f"bgr8 to rgb8 gives {np.asarray(converted).tolist()}")
        return convert

    def to_rgb(self, message: Image) -> ImageArray | None:
        """Convert a validated message to RGB (H, W, 3) uint8; None if cv_bridge cannot be used for it."""
        bytes_per_pixel = self.ENCODINGS.get(message.encoding)
        # cv_bridge requires a step that is a multiple of the pixel size.
        if self._convert is None or bytes_per_pixel is None or message.step % bytes_per_pixel:
            return None
        try:
            return self._convert(message, "rgb8")
        except Exception as error:
            _warn_broken("cv_bridge", f"{type(error).__name__} on encoding {message.encoding}")
            self._convert = None
            return None


@functools.cache
def image_bridge() -> ImageBridge:
    """The bridge shared by the process."""
    return ImageBridge()


_DATATYPES = {np.dtype(np.float32): PointField.FLOAT32, np.dtype(np.uint32): PointField.UINT32}


def create_cloud(header: Header, points: FloatArray) -> PointCloud2:
    """Create an unorganised point cloud.

    Args:
        points: (N,) structured array of float32 and uint32 fields, which become the fields of the cloud.
    """
    return _cloud_factory()(header, list(_point_fields(points.dtype)), points)


@functools.cache
def _point_fields(dtype: np.dtype[Any]) -> tuple[PointField, ...]:
    described = [(name, *dtype.fields[name][:2]) for name in dtype.names or ()]  # type: ignore[index]
    return tuple(
        PointField(name=name, offset=offset, datatype=_DATATYPES[kind], count=1) for name, kind, offset in described
    )


@functools.cache
def _cloud_factory() -> Callable[[Header, list[PointField], FloatArray], PointCloud2]:
    def load(point_cloud2: Any) -> Callable[[Header, list[PointField], FloatArray], PointCloud2]:
        points = np.zeros(2, [("x", np.float32), ("side", np.uint32)])
        cloud = point_cloud2.create_cloud(Header(), list(_point_fields(points.dtype)), points)
        if (cloud.width, cloud.height, cloud.point_step, len(cloud.data)) != (2, 1, 8, 16):
            raise ValueError(f"two points of 8 bytes give {len(cloud.data)} bytes")
        return point_cloud2.create_cloud

    return load_optional("sensor_msgs_py.point_cloud2", load) or _create_cloud


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


def rotation_matrix(quaternion: Quaternion) -> FloatArray:
    """(3, 3) rotation matrix of a message's unit quaternion; its columns are the axes of the rotated frame."""
    return _quaternion_to_matrix()(np.array([quaternion.x, quaternion.y, quaternion.z, quaternion.w]))


@functools.cache
def _quaternion_to_matrix() -> Callable[[FloatArray], FloatArray]:
    def load(tf_transformations: Any) -> Callable[[FloatArray], FloatArray]:
        def convert(quaternion: FloatArray) -> FloatArray:
            return np.asarray(tf_transformations.quaternion_matrix(quaternion))[:3, :3]

        if not np.allclose(convert(np.array([1.0, 0, 0, 0])), np.diag([1, -1, -1])):
            raise ValueError("quaternion_matrix does not take (x, y, z, w)")
        return convert

    return load_optional("tf_transformations", load) or (lambda quaternion: Pose(np.zeros(3), quaternion).rotation)


class TransformPublisher:
    """Publishes on ``/tf``, using the publisher of tf2_ros's broadcaster or one with the same QoS profile.

    Args:
        node: owner of the publisher.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        broadcaster_publisher = load_optional("tf2_ros", lambda tf2_ros: tf2_ros.TransformBroadcaster(node).pub_tf)
        self.publisher: Publisher = (
            node.create_publisher(TFMessage, TF, tf_profile(), qos_overriding_options=output_overrides())
            if broadcaster_publisher is None
            else broadcaster_publisher
        )

    def publish(self, message: bytes) -> None:
        """Publish a serialised TFMessage."""
        self.publisher.publish(message)

    @property
    def has_subscribers(self) -> bool:
        return bool(self.publisher.get_subscription_count())

    def destroy(self) -> None:
        """Destroy the publisher, which tf2_ros would otherwise keep until the node is destroyed."""
        self._node.destroy_publisher(self.publisher)
