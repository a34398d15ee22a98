"""What goes out, and what does not: products for who listens, markers taken back, TF silent, all at their rates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from lgnet_ros.msg import HandJointsArray, HandMeshArray
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from support.fixed_hands import two_hands, without_place
from support.ros_hands import no_hands
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_core.hand_model import HandModel
from lgnet_core.types import Camera, TwoHands
from lgnet_ros import topics
from lgnet_ros.output import publishers as module
from lgnet_ros.output.publishers import Publishers
from lgnet_ros.parameters import Settings
from lgnet_ros.perception import PerceptionResult

CAMERA = Camera(np.array([[56.0, 0, 31.5], [0, 56, 23.5], [0, 0, 1]]), 64, 48)
LAZY = {topics.INTER_HAND, topics.MARKERS, topics.POINTS, topics.OVERLAY}


class FakeOutput:
    """Keeps what it is given."""

    wanted = False

    def __init__(self, node: object, message_type: type[Any], topic: str) -> None:
        self.sent: list[Any] = []
        self.destroyed = False

    def publish(self, message: Any) -> None:
        self.sent.append(message)

    def destroy(self) -> None:
        self.destroyed = True


class FakeSender:
    def __init__(self, node: object) -> None:
        self.sent: list[TFMessage] = []
        self.destroyed = False

    def send(self, message: bytes) -> None:
        self.sent.append(deserialize_message(message, TFMessage))

    def destroy(self) -> None:
        self.destroyed = True


class Desk:
    """Publishers whose outputs are in view."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, hand_model: HandModel) -> None:
        self.outputs: dict[str, FakeOutput] = {}

        def output(node: object, message_type: type[Any], topic: str) -> FakeOutput:
            self.outputs[topic] = FakeOutput(node, message_type, topic)
            return self.outputs[topic]

        monkeypatch.setattr(module, "Output", output)
        monkeypatch.setattr(module, "TransformSender", FakeSender)
        self.publishers = Publishers(None, HandFrames(hand_model), "arm/")  # type: ignore[arg-type]
        self.metric = two_hands(hand_model)

    def listen(self, *wanted: str) -> None:
        for topic, output in self.outputs.items():
            output.wanted = topic in wanted

    def publish(self, hands: TwoHands, milliseconds: int = 0, frame_id: str = "camera", **settings: Any) -> Header:
        """Of an image taken then."""
        message = Image(header=Header(frame_id=frame_id))
        message.header.stamp.sec, rest = divmod(milliseconds, 1000)
        message.header.stamp.nanosec = rest * 10**6
        camera = CAMERA if hands.metric else None
        seen = PerceptionResult(message, np.zeros((48, 64, 3), np.uint8), camera, hands, {})
        self.publishers.publish(seen, Settings(**settings))
        return message.header

    def sent(self, topic: str) -> list[Any]:
        return self.outputs[topic].sent

    @property
    def transforms(self) -> list[TFMessage]:
        return self.publishers._transforms.sent  # type: ignore[attr-defined]

    def markers(self) -> list[list[int]]:
        """The actions of each message."""
        return [
            [m.action for m in deserialize_message(data, MarkerArray).markers] for data in self.sent(topics.MARKERS)
        ]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, hand_model: HandModel) -> Desk:
    return Desk(monkeypatch, hand_model)


def test_a_publisher_that_cannot_be_made_leaves_none_behind(
    monkeypatch: pytest.MonkeyPatch, hand_model: HandModel
) -> None:
    """Else each attempt to configure the node would add to those of the attempts before."""
    made: list[FakeOutput] = []

    def output(node: object, message_type: type[Any], topic: str) -> FakeOutput:
        if topic == topics.POINTS:
            raise ValueError("qos_overrides: best-effort")
        made.append(FakeOutput(node, message_type, topic))
        return made[-1]

    monkeypatch.setattr(module, "Output", output)
    with pytest.raises(ValueError, match="best-effort"):
        Publishers(None, HandFrames(hand_model), "")  # type: ignore[arg-type]
    assert len(made) == 4
    assert all(output.destroyed for output in made)


@pytest.mark.parametrize("listened", [None, *sorted(LAZY)])
def test_a_product_is_made_only_for_who_listens(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, listened: str | None
) -> None:
    """Joints, mesh and TF always; and what costs some time is not even computed."""
    computed: list[str] = []
    for name in ("inter_hand", "draw_overlay", "to_points"):
        function = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, f=function, n=name: (computed.append(n), f(*a))[1])
    desk.listen(*([listened] if listened else []))
    desk.publish(desk.metric)
    assert {topic for topic in desk.outputs if desk.sent(topic)} == {topics.JOINTS, topics.MESH, listened} - {None}
    assert len(desk.transforms) == 1
    expected = {topics.INTER_HAND: "inter_hand", topics.OVERLAY: "draw_overlay", topics.POINTS: "to_points"}
    assert computed == [name for topic, name in expected.items() if topic == listened]


def test_what_parameters_switch_off(desk: Desk) -> None:
    desk.listen(*LAZY)
    off = ("publish_tf", "publish_markers", "publish_points", "publish_overlay")
    desk.publish(desk.metric, **dict.fromkeys(off, False))
    assert desk.transforms == []
    assert {topic for topic in desk.outputs if desk.sent(topic)} == {topics.JOINTS, topics.MESH, topics.INTER_HAND}


def test_frames_are_sent_before_the_mesh(desk: Desk) -> None:
    """Who gets a mesh can look its frame up."""
    order: list[str] = []
    desk.publishers._transforms.send = lambda message: order.append("tf")  # type: ignore[method-assign]
    desk.outputs[topics.MESH].publish = lambda message: order.append("mesh")  # type: ignore[method-assign]
    desk.publish(desk.metric)
    assert order == ["tf", "mesh"]


def test_tf_is_silent_without_hands_and_without_a_frame_to_stand_under(desk: Desk) -> None:
    for joint_frames in (False, True):
        desk.publish(no_hands(), publish_joint_frames=joint_frames)
        desk.publish(desk.metric, frame_id="", publish_joint_frames=joint_frames)
    assert desk.transforms == []
    assert len(desk.sent(topics.MESH)) == 4, "all else is said"
    for count, joint_frames in ((2, False), (42, True)):
        header = desk.publish(desk.metric, publish_joint_frames=joint_frames)
        (message,) = desk.transforms[-1:]
        assert len(message.transforms) == count
        assert all(transform.header == header for transform in message.transforms)


def test_hands_without_a_place_have_an_overlay_and_nothing_else(desk: Desk) -> None:
    desk.listen(*LAZY)
    header = desk.publish(without_place(desk.metric))
    assert {topic for topic in desk.outputs if desk.sent(topic)} == {topics.OVERLAY}
    assert desk.transforms == []
    assert desk.sent(topics.OVERLAY)[0].header == header


def test_overlays_keep_to_their_rate(desk: Desk) -> None:
    """Of 30 images in a second the first and then 5 a second; all of them for a rate of 0."""
    desk.listen(topics.OVERLAY)
    for k in range(30):
        desk.publish(desk.metric, round(k * 1000 / 30), overlay_rate=5.0)
    assert len(desk.sent(topics.OVERLAY)) == 5
    stamps = [message.header.stamp.nanosec / 1e9 for message in desk.sent(topics.OVERLAY)]
    np.testing.assert_allclose(np.diff(stamps), 0.2, atol=0.03)
    assert len(desk.sent(topics.MESH)) == 30
    for k in range(30, 60):
        desk.publish(desk.metric, round(k * 1000 / 30), overlay_rate=0.0)
    assert len(desk.sent(topics.OVERLAY)) == 35


def test_markers_are_taken_back_once(desk: Desk) -> None:
    """With the header of those that are shown, whatever was published since: RViz knows them by their frame."""
    desk.listen(topics.MARKERS)
    header = desk.publish(desk.metric, 10)
    desk.listen()
    desk.publish(desk.metric, 20)
    for _ in range(2):
        desk.publishers.clear()
    assert desk.markers() == [[Marker.ADD] * 2, [Marker.DELETE] * 2]
    (gone,) = {str(m.header) for m in deserialize_message(desk.sent(topics.MARKERS)[1], MarkerArray).markers}
    assert gone == str(header)


def test_markers_that_are_switched_off_are_taken_back(desk: Desk) -> None:
    desk.listen(topics.MARKERS)
    desk.publish(desk.metric)
    for _ in range(2):
        desk.publish(desk.metric, publish_markers=False)
    assert desk.markers() == [[Marker.ADD] * 2, [Marker.DELETE] * 2]


def test_nothing_was_shown_nothing_is_taken_back(desk: Desk) -> None:
    desk.publish(desk.metric)
    desk.publishers.clear()
    assert desk.markers() == []


def test_markers_live_as_long_as_the_parameter_says(desk: Desk) -> None:
    desk.listen(topics.MARKERS)
    for lifetime in (0.5, 2.0):
        desk.publish(desk.metric, marker_lifetime=lifetime)
    lifetimes = [deserialize_message(data, MarkerArray).markers[0].lifetime for data in desk.sent(topics.MARKERS)]
    assert [(t.sec, t.nanosec) for t in lifetimes] == [(0, 500_000_000), (2, 0)]


def test_no_hands_are_said(desk: Desk) -> None:
    desk.listen(*LAZY)
    header = desk.publish(no_hands())
    for topic, message_type in ((topics.JOINTS, HandJointsArray), (topics.MESH, HandMeshArray)):
        (data,) = desk.sent(topic)
        told = deserialize_message(data, message_type)
        assert (told.header, list(told.hands)) == (header, [])
    assert desk.sent(topics.INTER_HAND) == []
    assert desk.sent(topics.POINTS)[0].width == 0


def test_everything_is_given_back(desk: Desk) -> None:
    desk.publishers.destroy()
    assert all(output.destroyed for output in desk.outputs.values())
    assert desk.publishers._transforms.destroyed  # type: ignore[attr-defined]
