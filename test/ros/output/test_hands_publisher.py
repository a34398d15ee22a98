"""Tests of the published outputs: laziness, parameters, rates, deletion of markers."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from lgnet_ros.msg import HandJointsArray, HandMeshArray, InterHandTransform
from rclpy.serialization import deserialize_message
from rclpy.time import Time
from std_msgs.msg import Header
from support.fixed_hands import two_hands, wrist_relative
from support.ros_hands import no_hands
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from lgnet_core.hand_model import HandModel
from lgnet_core.types import Camera, ImageHands, TwoHands
from lgnet_ros import topics
from lgnet_ros.output import hands_publisher as module
from lgnet_ros.output.hands_publisher import HandsPublisher
from lgnet_ros.parameters.settings import Settings
from lgnet_ros.perception.perception import PerceptionResult

CAMERA = Camera(np.array([[56.0, 0, 31.5], [0, 56, 23.5], [0, 0, 1]]), 64, 48)
LAZY = {topics.JOINT_STATES, topics.OPENXR, topics.INTER_HAND, topics.MARKERS, topics.POINTS, topics.OVERLAY}


class FakePublisher:
    """Records the published messages."""

    has_subscribers = False

    def __init__(self, node: object, message_type: type[Any], topic: str) -> None:
        self.sent: list[Any] = []
        self.destroyed = False

    def publish(self, message: Any) -> None:
        self.sent.append(message)

    def destroy(self) -> None:
        self.destroyed = True


class FakeNode:
    """A node whose clock stands still."""

    seconds = 0.0

    def get_clock(self) -> SimpleNamespace:
        return SimpleNamespace(now=lambda: Time(nanoseconds=round(self.seconds * 1e9)))


class FakeTransformPublisher:
    has_subscribers = False

    def __init__(self, node: object) -> None:
        self.sent: list[TFMessage] = []
        self.destroyed = False

    def publish(self, message: bytes) -> None:
        self.sent.append(deserialize_message(message, TFMessage))

    def destroy(self) -> None:
        self.destroyed = True


class PublisherHarness:
    """A HandsPublisher whose ROS publishers are fakes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, hand_model: HandModel) -> None:
        self.fakes: dict[str, FakePublisher] = {}

        def create(node: object, message_type: type[Any], topic: str) -> FakePublisher:
            self.fakes[topic] = FakePublisher(node, message_type, topic)
            return self.fakes[topic]

        monkeypatch.setattr(module, "LazyPublisher", create)
        monkeypatch.setattr(module, "TransformPublisher", FakeTransformPublisher)
        self.node = FakeNode()
        self.publisher = HandsPublisher(self.node, hand_model, "arm/")  # type: ignore[arg-type]
        self.metric = two_hands(hand_model)

    def subscribe(self, *subscribed: str) -> None:
        for topic, fake in self.fakes.items():
            fake.has_subscribers = topic in subscribed

    def publish(self, hands: TwoHands, milliseconds: int = 0, frame_id: str = "camera", **settings: Any) -> Header:
        """Publish the hands of an image with a given stamp."""
        header = Header(frame_id=frame_id)
        header.stamp.sec, remainder = divmod(milliseconds, 1000)
        header.stamp.nanosec = remainder * 10**6
        camera = CAMERA if hands.metric else None
        people = ImageHands([hands] if hands.hands else [], hands.metric)
        result = PerceptionResult(header, np.zeros((48, 64, 3), np.uint8), camera, people, {})
        self.publisher.publish(result, Settings(**settings))
        return header

    def sent(self, topic: str) -> list[Any]:
        return self.fakes[topic].sent

    @property
    def transforms(self) -> list[TFMessage]:
        return self.publisher._transforms.sent  # type: ignore[attr-defined]

    def markers(self) -> list[list[int]]:
        """Actions of the markers in each message."""
        return [
            [m.action for m in deserialize_message(data, MarkerArray).markers] for data in self.sent(topics.MARKERS)
        ]


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch, hand_model: HandModel) -> PublisherHarness:
    return PublisherHarness(monkeypatch, hand_model)


def test_failed_construction_destroys_all_publishers(monkeypatch: pytest.MonkeyPatch, hand_model: HandModel) -> None:
    """Otherwise repeated attempts to configure the node would accumulate publishers."""
    created: list[FakePublisher] = []

    def create(node: object, message_type: type[Any], topic: str) -> FakePublisher:
        if topic == topics.POINTS:
            raise ValueError("qos_overrides: best-effort")
        created.append(FakePublisher(node, message_type, topic))
        return created[-1]

    monkeypatch.setattr(module, "LazyPublisher", create)
    with pytest.raises(ValueError, match="best-effort"):
        HandsPublisher(None, hand_model, "")  # type: ignore[arg-type]
    assert len(created) == 5
    assert all(fake.destroyed for fake in created)


def test_age_is_that_of_the_image_on_the_nodes_clock(harness: PublisherHarness) -> None:
    """Negative if the stamp is ahead of the clock."""
    harness.subscribe(topics.INTER_HAND)
    types = {topics.JOINTS: HandJointsArray, topics.MESH: HandMeshArray, topics.INTER_HAND: InterHandTransform}
    for seconds, expected in ((2.5, 0.5), (1.875, -0.125)):
        harness.node.seconds = seconds
        harness.publish(harness.metric, milliseconds=2000)
        assert {t: deserialize_message(harness.sent(t)[-1], types[t]).age for t in types} == dict.fromkeys(
            types, expected
        )


@pytest.mark.parametrize("subscribed", [None, *sorted(LAZY)])
def test_lazy_outputs_are_computed_only_with_subscribers(
    harness: PublisherHarness, monkeypatch: pytest.MonkeyPatch, subscribed: str | None
) -> None:
    """Joints, mesh and TF are always published."""
    computed: list[str] = []
    for name in ("to_joint_states", "inter_hand", "draw_overlay", "to_points"):
        function = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, f=function, n=name: (computed.append(n), f(*a))[1])
    harness.subscribe(*([subscribed] if subscribed else []))
    harness.publish(harness.metric)
    assert {topic for topic in harness.fakes if harness.sent(topic)} == {topics.JOINTS, topics.MESH, subscribed} - {
        None
    }
    assert len(harness.transforms) == 1
    expected = {
        topics.JOINT_STATES: "to_joint_states",
        topics.INTER_HAND: "inter_hand",
        topics.OVERLAY: "draw_overlay",
        topics.POINTS: "to_points",
    }
    assert computed == [name for topic, name in expected.items() if topic == subscribed]


@pytest.mark.parametrize(
    ("topic", "flag"),
    [
        (topics.JOINTS, None),
        (topics.MESH, None),
        (topics.JOINT_STATES, None),
        (topics.OPENXR, None),
        (topics.INTER_HAND, None),
        (topics.TF, "publish_tf"),
        (topics.MARKERS, "publish_markers"),
        (topics.POINTS, "publish_points"),
        (topics.OVERLAY, "publish_overlay"),
    ],
)
def test_images_are_requested_by_the_subscribers_of_enabled_outputs(
    harness: PublisherHarness, monkeypatch: pytest.MonkeyPatch, topic: str, flag: str | None
) -> None:
    assert not harness.publisher.requested(Settings())
    harness.subscribe(topic)
    monkeypatch.setattr(FakeTransformPublisher, "has_subscribers", topic == topics.TF)
    assert harness.publisher.requested(Settings())
    if flag is not None:
        assert not harness.publisher.requested(Settings(**{flag: False}))


def test_outputs_can_be_disabled_by_parameters(harness: PublisherHarness) -> None:
    harness.subscribe(*LAZY)
    flags = ("publish_tf", "publish_markers", "publish_points", "publish_overlay")
    harness.publish(harness.metric, **dict.fromkeys(flags, False))
    assert harness.transforms == []
    assert {topic for topic in harness.fakes if harness.sent(topic)} == {
        topics.JOINTS,
        topics.MESH,
        topics.JOINT_STATES,
        topics.OPENXR,
        topics.INTER_HAND,
    }


def test_transforms_are_published_before_the_mesh(harness: PublisherHarness) -> None:
    """A subscriber to the mesh can look up its frame."""
    order: list[str] = []
    harness.publisher._transforms.publish = lambda message: order.append("tf")  # type: ignore[method-assign]
    harness.fakes[topics.MESH].publish = lambda message: order.append("mesh")  # type: ignore[method-assign]
    harness.publish(harness.metric)
    assert order == ["tf", "mesh"]


def test_no_transforms_without_hands_or_parent_frame(harness: PublisherHarness) -> None:
    for joint_frames in (False, True):
        harness.publish(no_hands(), publish_joint_frames=joint_frames)
        harness.publish(harness.metric, frame_id="", publish_joint_frames=joint_frames)
    assert harness.transforms == []
    assert len(harness.sent(topics.MESH)) == 4, "the other outputs must be published"
    for count, joint_frames in ((2, False), (42, True)):
        header = harness.publish(harness.metric, publish_joint_frames=joint_frames)
        (message,) = harness.transforms[-1:]
        assert len(message.transforms) == count
        assert all(transform.header == header for transform in message.transforms)


def test_uncalibrated_hands_are_only_published_as_overlay(harness: PublisherHarness) -> None:
    harness.subscribe(*LAZY)
    header = harness.publish(wrist_relative(harness.metric))
    assert {topic for topic in harness.fakes if harness.sent(topic)} == {topics.OVERLAY}
    assert harness.transforms == []
    assert harness.sent(topics.OVERLAY)[0].header == header


def test_overlay_rate_is_limited(harness: PublisherHarness) -> None:
    """5 overlays for 30 images in one second; all for a rate of 0."""
    harness.subscribe(topics.OVERLAY)
    for k in range(30):
        harness.publish(harness.metric, round(k * 1000 / 30), overlay_rate=5.0)
    assert len(harness.sent(topics.OVERLAY)) == 5
    stamps = [message.header.stamp.nanosec / 1e9 for message in harness.sent(topics.OVERLAY)]
    np.testing.assert_allclose(np.diff(stamps), 0.2, atol=0.03)
    assert len(harness.sent(topics.MESH)) == 30
    for k in range(30, 60):
        harness.publish(harness.metric, round(k * 1000 / 30), overlay_rate=0.0)
    assert len(harness.sent(topics.OVERLAY)) == 35


def test_markers_are_deleted_once(harness: PublisherHarness) -> None:
    """With the header of the shown markers, whatever was published since then."""
    harness.subscribe(topics.MARKERS)
    header = harness.publish(harness.metric, 10)
    harness.subscribe()
    harness.publish(harness.metric, 20)
    for _ in range(2):
        harness.publisher.delete_markers()
    assert harness.markers() == [[Marker.ADD] * 2, [Marker.DELETE] * 2]
    (deleted,) = {str(m.header) for m in deserialize_message(harness.sent(topics.MARKERS)[1], MarkerArray).markers}
    assert deleted == str(header)


def test_disabled_markers_are_deleted(harness: PublisherHarness) -> None:
    harness.subscribe(topics.MARKERS)
    harness.publish(harness.metric)
    for _ in range(2):
        harness.publish(harness.metric, publish_markers=False)
    assert harness.markers() == [[Marker.ADD] * 2, [Marker.DELETE] * 2]


def test_no_deletion_without_markers(harness: PublisherHarness) -> None:
    harness.publish(harness.metric)
    harness.publisher.delete_markers()
    assert harness.markers() == []


def test_marker_lifetime_is_the_parameters(harness: PublisherHarness) -> None:
    harness.subscribe(topics.MARKERS)
    for lifetime in (0.5, 2.0):
        harness.publish(harness.metric, marker_lifetime=lifetime)
    lifetimes = [deserialize_message(data, MarkerArray).markers[0].lifetime for data in harness.sent(topics.MARKERS)]
    assert [(t.sec, t.nanosec) for t in lifetimes] == [(0, 500_000_000), (2, 0)]


def test_image_without_hands_is_published(harness: PublisherHarness) -> None:
    harness.subscribe(*LAZY)
    header = harness.publish(no_hands())
    for topic, message_type in ((topics.JOINTS, HandJointsArray), (topics.MESH, HandMeshArray)):
        (data,) = harness.sent(topic)
        message = deserialize_message(data, message_type)
        assert (message.header, list(message.hands)) == (header, [])
    assert harness.sent(topics.INTER_HAND) == harness.sent(topics.JOINT_STATES) == []
    assert harness.sent(topics.POINTS)[0].width == 0


def test_without_moveit_msgs_everything_else_is_published(
    monkeypatch: pytest.MonkeyPatch, hand_model: HandModel
) -> None:
    monkeypatch.setitem(sys.modules, "moveit_msgs", None)  # import raises ModuleNotFoundError
    monkeypatch.setitem(sys.modules, "moveit_msgs.msg", None)
    harness = PublisherHarness(monkeypatch, hand_model)
    assert topics.PLANNING_SCENE not in harness.fakes
    harness.subscribe(*LAZY)
    harness.publish(harness.metric)
    harness.publisher.clear()
    harness.publisher.expire(0.0)
    assert all(harness.sent(topic) for topic in LAZY)


def test_destroy_destroys_all_publishers(harness: PublisherHarness) -> None:
    harness.publisher.destroy()
    assert all(fake.destroyed for fake in harness.fakes.values())
    assert harness.publisher._transforms.destroyed  # type: ignore[attr-defined]
