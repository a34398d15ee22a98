"""The cloud filter as a node: which points it removes, in which frames, and what it does without recent hands."""

from __future__ import annotations

import array
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header
from support.fixed_hands import two_hands
from support.ros_domain import RosDomain
from support.waiting import poll, wait_for
from tf2_msgs.msg import TFMessage

from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_core.hand_model import HandModel
from lgnet_core.types import TwoHands
from lgnet_ros.applications.cloud_filter import HandsCloudFilter
from lgnet_ros.output.messages import to_mesh_array
from lgnet_ros.process.arguments import StartupError
from lgnet_ros.qos import output_profile

BACKGROUND = np.random.default_rng(0).uniform([-0.5, -0.5, 1.0], [0.5, 0.5, 2.0], (500, 3))
TURN = Rotation.from_euler("xyz", [0.3, -0.2, 1.0]).as_matrix()
SHIFT = np.array([0.5, 0.1, -0.2])


def header(seconds: float, frame_id: str = "camera") -> Header:
    result = Header(frame_id=frame_id)
    result.stamp.sec, result.stamp.nanosec = int(seconds), round(seconds % 1 * 1e9)
    return result


def cloud(points: np.ndarray, header: Header, height: int = 1) -> PointCloud2:
    """Points with an intensity, 20 bytes each."""
    layout = np.dtype({"names": ["x", "y", "z", "intensity"], "formats": ["<f4"] * 4, "offsets": [0, 4, 8, 16]})
    records = np.zeros(len(points), layout)
    for axis, name in enumerate("xyz"):
        records[name] = points[:, axis]
    records["intensity"] = np.arange(len(points))
    width = len(points) // height
    return PointCloud2(
        header=header,
        height=height,
        width=width,
        fields=[
            PointField(name=name, offset=layout.fields[name][1], datatype=PointField.FLOAT32, count=1)
            for name in layout.names
        ],
        point_step=layout.itemsize,
        row_step=width * layout.itemsize,
        data=array.array("B", records.tobytes()),
        is_dense=True,
    )


def intensities(message: PointCloud2) -> np.ndarray:
    """Numbers of the points that are left."""
    layout = np.dtype(
        {"names": ["x", "intensity"], "formats": ["<f4", "<f4"], "offsets": [0, 16], "itemsize": message.point_step}
    )
    records = np.frombuffer(message.data, layout)
    assert len(records) == message.width * message.height
    return records["intensity"][~np.isnan(records["x"])].astype(int)


class Filter:
    """The node, and the topics around it."""

    def __init__(self, ros_domain: RosDomain, hand_model: HandModel, **parameters: Any) -> None:
        self.domain = ros_domain
        self.hands = two_hands(hand_model)
        self._poses = HandFrames(hand_model).poses(self.hands.hands)
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        self.node = HandsCloudFilter(
            context=ros_domain.context, use_global_arguments=False, parameter_overrides=overrides
        )
        ros_domain.executor.add_node(self.node)
        node = ros_domain.node
        self.received: list[PointCloud2] = []
        self._subscription = node.create_subscription(PointCloud2, "cloud_out", self.received.append, output_profile())
        self._clouds = node.create_publisher(PointCloud2, "cloud_in", output_profile())
        self._meshes = node.create_publisher(type(to_mesh_array(TwoHands(None, None, None, True), Header(), 0.0, {})),
                                             "hands/mesh", output_profile())  # fmt: skip
        wait_for(lambda: self._meshes.get_subscription_count(), "the filter's subscription to hands/mesh")
        wait_for(lambda: self.node.count_subscribers("cloud_out"), "the subscription to cloud_out")

    def close(self) -> None:
        self.domain.executor.remove_node(self.node)
        self.node.destroy_node()
        for publisher in (self._clouds, self._meshes):
            self.domain.node.destroy_publisher(publisher)
        self.domain.node.destroy_subscription(self._subscription)

    def publish_hands(self, header: Header, hands: TwoHands | None = None) -> None:
        """Publish, and wait until the filter has it."""
        message = to_mesh_array(self.hands if hands is None else hands, header, 0.0, self._poses)
        self._meshes.publish(message)
        wait_for(lambda: self.node._hands is not None and self.node._hands.header == header)

    def filter(self, message: PointCloud2) -> PointCloud2:
        """The result for a cloud, which is sent again until the subscription that matches its publisher exists."""

        def send() -> PointCloud2 | None:
            self._clouds.publish(message)
            return poll(lambda: next((m for m in self.received if m.header == message.header), None), 1.0)

        return wait_for(send, "the filtered cloud")

    @property
    def vertices(self) -> np.ndarray:
        return np.concatenate([hand.vertices for hand in self.hands.hands])


@pytest.fixture
def make(ros_domain: RosDomain, hand_model: HandModel) -> Iterator[Any]:
    made: list[Filter] = []

    def create(**parameters: Any) -> Filter:
        made.append(Filter(ros_domain, hand_model, **parameters))
        return made[-1]

    yield create
    for item in made:
        item.close()


def test_points_of_the_hands_are_removed(make: Any) -> None:
    subject = make()
    subject.publish_hands(header(100.0))
    points = np.concatenate([subject.vertices, BACKGROUND])
    message = subject.filter(cloud(points, header(100.1)))
    assert (message.header, message.height) == (header(100.1), 1)
    np.testing.assert_array_equal(intensities(message), len(subject.vertices) + np.arange(len(BACKGROUND)))

    organised = subject.filter(cloud(points[:2000], header(100.2), height=4))
    assert (organised.height, organised.width, organised.is_dense) == (4, 500, False)
    np.testing.assert_array_equal(intensities(organised), np.arange(len(subject.vertices), 2000))

    no_hands = TwoHands(None, None, None, metric=True)
    subject.publish_hands(header(100.3), no_hands)
    assert len(intensities(subject.filter(cloud(points, header(100.31))))) == len(points)


def test_points_of_the_hands_are_kept(make: Any) -> None:
    subject = make(keep="hands", padding=0.001)
    subject.publish_hands(header(200.0))
    points = np.concatenate([BACKGROUND, subject.vertices])
    message = subject.filter(cloud(points, header(200.0)))
    np.testing.assert_array_equal(intensities(message), len(BACKGROUND) + np.arange(len(subject.vertices)))


def test_stale_hands_are_ignored(make: Any) -> None:
    subject = make(max_age=0.25)
    subject.publish_hands(header(300.0))
    count = len(subject.vertices)
    assert len(intensities(subject.filter(cloud(subject.vertices, header(300.2))))) == 0
    assert len(intensities(subject.filter(cloud(subject.vertices, header(300.3))))) == count


def test_hands_are_transformed_into_the_frame_of_the_cloud(make: Any, ros_domain: RosDomain) -> None:
    subject = make(padding=0.001)
    subject.publish_hands(header(400.0))
    points = subject.vertices @ TURN.T + SHIFT  # of the camera, in the frame of the lidar
    count = len(points)
    assert len(intensities(subject.filter(cloud(points, header(400.0, "lidar"))))) == count, "not connected yet"

    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    publisher = ros_domain.node.create_publisher(TFMessage, "/tf_static", latched)
    transform = TransformStamped(header=Header(frame_id="lidar"), child_frame_id="camera")
    t, q = transform.transform.translation, transform.transform.rotation
    t.x, t.y, t.z = SHIFT.tolist()
    q.x, q.y, q.z, q.w = Rotation.from_matrix(TURN).as_quat().tolist()
    publisher.publish(TFMessage(transforms=[transform]))
    wait_for(lambda: subject.node._frames.lookup("lidar", "camera"), "the transform")
    assert len(intensities(subject.filter(cloud(points, header(400.1, "lidar"))))) == 0
    ros_domain.node.destroy_publisher(publisher)


def test_a_cloud_without_coordinates_is_rejected(make: Any) -> None:
    subject = make()
    subject.publish_hands(header(500.0))
    message = cloud(BACKGROUND, header(500.0))
    subject.filter(message)
    bad = cloud(BACKGROUND, header(500.1))
    bad.fields[2].name = "depth"
    short = cloud(BACKGROUND, header(500.2))
    short.data = short.data[:-1]
    for broken in (bad, short):
        subject._clouds.publish(broken)
    assert len(intensities(subject.filter(cloud(BACKGROUND, header(500.3))))) == len(BACKGROUND)
    assert {m.header.stamp.nanosec for m in subject.received} == {0, 300_000_000}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("keep", "neither", "others, hands"), ("padding", -1.0, "0 to 0.5"), ("hand_model", "/nowhere", "/nowhere")],
)
def test_invalid_parameters_are_named(ros_domain: RosDomain, name: str, value: Any, expected: str) -> None:
    with pytest.raises(StartupError, match=rf"{name}.*{expected}"):
        HandsCloudFilter(
            context=ros_domain.context,
            use_global_arguments=False,
            parameter_overrides=[Parameter(name, value=value)],
        )


def test_what_is_read_only_at_the_start_cannot_be_set_later(ros_domain: RosDomain) -> None:
    """Otherwise setting it would succeed without an effect."""
    node = HandsCloudFilter(context=ros_domain.context, use_global_arguments=False)
    keep, padding = node.set_parameters([Parameter("keep", value="hands"), Parameter("padding", value=0.1)])
    assert (keep.successful, padding.successful) == (False, True)
    node.destroy_node()
