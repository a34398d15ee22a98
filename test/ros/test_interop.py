"""Tests of the optional packages: used if they work, otherwise replaced by the fallback with one warning."""

from __future__ import annotations

import array
import sys
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import Quaternion, TransformStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import Image, PointCloud2, PointField
from std_msgs.msg import Header
from support.ros_node import isolated_node
from support.waiting import wait_for
from tf2_msgs.msg import TFMessage

from lgnet_ros import interop
from lgnet_ros.input.decode import decode_image

OPTIONAL_MODULES = ("cv_bridge", "sensor_msgs_py", "sensor_msgs_py.point_cloud2", "tf2_ros", "tf_transformations")


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Logged warnings. All optional packages are absent unless a test installs one."""
    lines: list[str] = []
    monkeypatch.setattr(interop, "get_logger", lambda _: types.SimpleNamespace(warning=lines.append))
    for name in OPTIONAL_MODULES:
        monkeypatch.setitem(sys.modules, name, None)  # import raises ModuleNotFoundError
    cached: list[Any] = [
        interop.image_bridge,
        interop._cloud_factory,
        interop._quaternion_to_matrix,
        interop._warn_broken,
    ]
    for function in cached:
        function.cache_clear()
    yield lines
    for function in cached:
        function.cache_clear()


def install(monkeypatch: pytest.MonkeyPatch, name: str, **members: Any) -> None:
    """Register a module as already imported."""
    package, _, rest = name.partition(".")
    module = types.ModuleType(name)
    module.__dict__.update(members)
    monkeypatch.setitem(sys.modules, name, module)
    if rest:
        parent = types.ModuleType(package)
        parent.__path__ = []  # type: ignore[attr-defined]
        setattr(parent, rest, module)
        monkeypatch.setitem(sys.modules, package, parent)


def install_broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Any, name: str, statement: str) -> None:
    """Create a package whose import raises an error."""
    package, _, rest = name.partition(".")
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("" if rest else statement)
    if rest:
        (tmp_path / package / f"{rest}.py").write_text(statement)
    monkeypatch.syspath_prepend(tmp_path)
    for module in (package, name):
        monkeypatch.delitem(sys.modules, module, raising=False)


class CvBridge:
    """cv_bridge's conversion of bgr8, recording the encodings of all calls."""

    encodings: list[str] = []  # noqa: RUF012

    def imgmsg_to_cv2(self, message: Image, encoding: str) -> Any:
        assert encoding == "rgb8"
        CvBridge.encodings.append(message.encoding)
        rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)[:, : message.width * 3]
        return rows.reshape(message.height, message.width, 3)[..., ::-1]


def bgr(step: int = 60) -> Image:
    data = np.random.default_rng(0).integers(0, 256, step * 16, np.uint8)
    return Image(height=16, width=20, encoding="bgr8", step=step, data=array.array("B", data.tobytes()))


BROKEN = [
    "raise ImportError('numpy.core.multiarray failed to import')",
    "raise AttributeError('_ARRAY_API not found')",
    "raise SystemError('initialization failed')",
    "import something_else_that_is_absent",
]


def test_missing_packages_are_not_reported(log: list[str]) -> None:
    expected = np.frombuffer(bgr().data, np.uint8).reshape(16, 20, 3)[..., ::-1]
    np.testing.assert_array_equal(decode_image(bgr()), expected)
    interop.create_cloud(Header(), np.zeros(1, [("x", np.float32)]))
    assert log == []


def test_cv_bridge_is_used(monkeypatch: pytest.MonkeyPatch, log: list[str]) -> None:
    fallback = decode_image(bgr(63))
    install(monkeypatch, "cv_bridge", CvBridge=CvBridge)
    interop.image_bridge.cache_clear()
    CvBridge.encodings.clear()
    np.testing.assert_array_equal(decode_image(bgr(63)), fallback)
    assert CvBridge.encodings == ["bgr8", "bgr8"]  # the initial test, and the image
    decode_image(bgr(64))  # unsupported by cv_bridge: step is not a multiple of the pixel size
    rgb = bgr()
    rgb.encoding = "rgb8"  # needs no conversion
    decode_image(rgb)
    assert CvBridge.encodings == ["bgr8", "bgr8"]
    assert log == []


@pytest.mark.parametrize("statement", BROKEN)
def test_broken_cv_bridge_is_reported_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, log: list[str], statement: str
) -> None:
    install_broken(monkeypatch, tmp_path, "cv_bridge", statement)
    for _ in range(3):
        assert decode_image(bgr()).shape == (16, 20, 3)
    assert len(log) == 1
    assert "cv_bridge is installed but does not work" in log[0]
    assert "\n" not in log[0]


class FailsOnFirstImage(CvBridge):
    """cv_bridge whose compiled module fails on the first image."""

    calls = 0

    def imgmsg_to_cv2(self, message: Image, encoding: str) -> Any:
        FailsOnFirstImage.calls += 1
        if message.width > 2:
            raise RuntimeError("cv_bridge_boost")
        return super().imgmsg_to_cv2(message, encoding)


class FailsOnInitialTest(CvBridge):
    def imgmsg_to_cv2(self, message: Image, encoding: str) -> Any:
        raise ImportError("numpy.core.multiarray failed to import")


class SwapsColours(CvBridge):
    def imgmsg_to_cv2(self, message: Image, encoding: str) -> Any:
        return super().imgmsg_to_cv2(message, encoding)[..., ::-1]


@pytest.mark.parametrize("bridge", [FailsOnFirstImage, FailsOnInitialTest, SwapsColours])
def test_failing_cv_bridge_is_reported_once(
    monkeypatch: pytest.MonkeyPatch, log: list[str], bridge: type[CvBridge]
) -> None:
    fallback = decode_image(bgr())
    install(monkeypatch, "cv_bridge", CvBridge=bridge)
    interop.image_bridge.cache_clear()
    for _ in range(3):
        np.testing.assert_array_equal(decode_image(bgr()), fallback)
    assert len(log) == 1
    assert FailsOnFirstImage.calls in (0, 2)  # the initial test and the first image


POINTS = np.array([(1.0, 2.0, 3.0, 0), (4.0, 5.0, 6.0, 1)], [*((n, np.float32) for n in "xyz"), ("side", np.uint32)])


def make_cloud(header: Header, fields: list[PointField], points: Any) -> PointCloud2:
    """Same checks and result as sensor_msgs_py's create_cloud."""
    assert [f.name for f in fields] == list(points.dtype.names)
    assert [f.offset for f in fields] == [points.dtype.fields[f.name][1] for f in fields]
    data = array.array("B", points.tobytes())
    step = points.itemsize
    return PointCloud2(
        header=header, height=1, width=len(points), fields=fields, point_step=step, row_step=len(data), data=data
    )


def test_sensor_msgs_py_is_used(monkeypatch: pytest.MonkeyPatch, log: list[str]) -> None:
    header = Header(frame_id="camera")
    fallback = interop.create_cloud(header, POINTS)
    assert fallback.is_dense
    install(monkeypatch, "sensor_msgs_py.point_cloud2", create_cloud=make_cloud)
    interop._cloud_factory.cache_clear()
    cloud = interop.create_cloud(header, POINTS)
    assert not cloud.is_dense
    cloud.is_dense = True
    assert cloud == fallback
    assert log == []


def test_point_cloud_fields() -> None:
    cloud = interop.create_cloud(Header(frame_id="camera"), POINTS)
    assert cloud.header.frame_id == "camera"
    assert (cloud.height, cloud.width, cloud.point_step, cloud.row_step) == (1, 2, 16, 32)
    formats = {PointField.FLOAT32: "f4", PointField.UINT32: "u4"}
    described = np.dtype(
        {
            "names": [f.name for f in cloud.fields],
            "formats": [formats[f.datatype] for f in cloud.fields],
            "offsets": [f.offset for f in cloud.fields],
            "itemsize": cloud.point_step,
        }
    )
    np.testing.assert_array_equal(np.frombuffer(cloud.data, described), POINTS)


@pytest.mark.parametrize("statement", BROKEN)
def test_broken_sensor_msgs_py_is_reported_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, log: list[str], statement: str
) -> None:
    install_broken(monkeypatch, tmp_path, "sensor_msgs_py.point_cloud2", statement)
    for _ in range(2):
        assert interop.create_cloud(Header(), POINTS).width == 2
    assert len(log) == 1


@pytest.fixture
def node() -> Iterator[Node]:
    with isolated_node() as node:
        yield node


TRANSFORMS = TFMessage(transforms=[TransformStamped(child_frame_id=name) for name in "ab"])


def test_fallback_publishes_on_tf(node: Node) -> None:
    received: list[TFMessage] = []
    node.create_subscription(TFMessage, "/tf", received.append, QoSProfile(depth=100))
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    publisher = interop.TransformPublisher(node)

    def publish_and_receive() -> bool:
        publisher.publish(serialize_message(TRANSFORMS))
        executor.spin_once(timeout_sec=0.05)
        return bool(received)

    wait_for(publish_and_receive, "a transform")
    assert received[0] == TRANSFORMS
    publisher.destroy()
    wait_for(lambda: not node.count_publishers("/tf"), "the publisher to be destroyed")
    executor.shutdown()


class TransformBroadcaster:
    """Like tf2_ros's, as far as it is used."""

    def __init__(self, node: Node) -> None:
        self.pub_tf = node.create_publisher(TFMessage, "/tf", QoSProfile(depth=100))
        TransformBroadcaster.last = self  # type: ignore[attr-defined]


def test_tf2_ros_is_used_and_its_publisher_destroyed(
    node: Node, monkeypatch: pytest.MonkeyPatch, log: list[str]
) -> None:
    install(monkeypatch, "tf2_ros", TransformBroadcaster=TransformBroadcaster)
    publisher = interop.TransformPublisher(node)
    assert publisher.publisher is TransformBroadcaster.last.pub_tf  # type: ignore[attr-defined]
    publisher.publish(serialize_message(TRANSFORMS))
    publisher.destroy()
    assert TransformBroadcaster.last.pub_tf not in node.publishers  # type: ignore[attr-defined]
    assert log == []


@pytest.mark.parametrize("statement", BROKEN)
def test_broken_tf2_ros_is_reported_once(
    node: Node, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, log: list[str], statement: str
) -> None:
    install_broken(monkeypatch, tmp_path, "tf2_ros", statement)
    for _ in range(2):  # like a node that is configured twice
        publisher = interop.TransformPublisher(node)
        publisher.publish(serialize_message(TRANSFORMS))
        publisher.destroy()
    assert len(log) == 1
    assert "tf2_ros" in log[0]


QUATERNION = (0.5, -0.5, 0.1, 0.7)  # not normalised here


def turned() -> tuple[Quaternion, Any]:
    """A quaternion message and its rotation matrix by scipy."""
    rotation = Rotation.from_quat(QUATERNION)
    x, y, z, w = rotation.as_quat().tolist()
    return Quaternion(x=x, y=y, z=z, w=w), rotation.as_matrix()


def test_tf_transformations_is_used(monkeypatch: pytest.MonkeyPatch, log: list[str]) -> None:
    calls = []

    def quaternion_matrix(quaternion: Any) -> Any:
        calls.append(quaternion)
        matrix = np.eye(4)
        matrix[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
        return matrix

    install(monkeypatch, "tf_transformations", quaternion_matrix=quaternion_matrix)
    message, expected = turned()
    np.testing.assert_allclose(interop.rotation_matrix(message), expected, atol=1e-12)
    assert len(calls) == 2  # the check and the call
    assert log == []


def test_rotations_without_tf_transformations(log: list[str]) -> None:
    message, expected = turned()
    np.testing.assert_allclose(interop.rotation_matrix(message), expected, atol=1e-12)
    assert log == []


def test_tf_transformations_with_another_order_is_not_used(monkeypatch: pytest.MonkeyPatch, log: list[str]) -> None:
    install(monkeypatch, "tf_transformations", quaternion_matrix=lambda quaternion: np.eye(4))
    message, expected = turned()
    np.testing.assert_allclose(interop.rotation_matrix(message), expected, atol=1e-12)
    assert len(log) == 1
    assert "tf_transformations" in log[0]
