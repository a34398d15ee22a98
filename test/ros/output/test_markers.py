"""Markers as bytes: those that rclpy makes of the same message, which here is built object by object."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from hypothesis import given
from hypothesis import strategies as st
from rclpy.executors import SingleThreadedExecutor
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import ColorRGBA, Header
from support.cdr import Encoder
from support.ros_hands import no_hands, two_hands, unplaced
from support.ros_node import lone_node
from support.ros_world import wait_for
from visualization_msgs.msg import Marker, MarkerArray

from lgnet_core.hand_model import HandModel
from lgnet_core.types import Side, TwoHands
from lgnet_ros.output.markers import MarkerWriter
from lgnet_ros.qos import output_profile

HEADER = Header(stamp=Time(sec=1234567890, nanosec=987654321), frame_id="camera")
SEEN = [(), (Side.RIGHT,), (Side.LEFT,), (Side.RIGHT, Side.LEFT)]
ORANGE, BLUE = (230, 159, 0), (0, 114, 178)  # as the overlay has them


def expected(hands: TwoHands, header: Header, lifetime: Duration) -> MarkerArray:
    """The message, a Point for each corner of each triangle."""
    markers = []
    for side, hand, colour in zip(Side, (hands.right, hands.left), (ORANGE, BLUE)):
        corners = [] if hand is None else hand.vertices[hand.faces].reshape(-1, 3).tolist()
        markers.append(
            Marker(
                header=header,
                ns="hands",
                id=int(side),
                type=Marker.TRIANGLE_LIST,
                action=Marker.DELETE if hand is None else Marker.ADD,
                pose=Pose(orientation=Quaternion(x=0.0, y=0.0, z=0.0, w=1.0)),
                scale=Vector3(x=1.0, y=1.0, z=1.0),
                color=ColorRGBA(r=colour[0] / 255, g=colour[1] / 255, b=colour[2] / 255, a=1.0),
                lifetime=lifetime,
                points=[Point(x=x, y=y, z=z) for x, y, z in corners],
            )
        )
    return MarkerArray(markers=markers)


def assert_same_bytes(data: bytes, message: MarkerArray) -> None:
    """Of rclpy and of the standard. Bytes between fields, there to align them, are whatever memory held."""
    for candidate in (data, serialize_message(message)):
        Encoder(message).assert_same(candidate)


@pytest.mark.parametrize("sides", SEEN)
def test_bytes_are_rclpys(hand_model: HandModel, sides: tuple[Side, ...]) -> None:
    hands = two_hands(hand_model, sides)
    data = MarkerWriter(0.3).write(hands, HEADER)
    message = expected(hands, HEADER, Duration(sec=0, nanosec=300_000_000))
    assert_same_bytes(data, message)
    assert deserialize_message(data, MarkerArray) == deserialize_message(serialize_message(message), MarkerArray)


def test_one_writer_follows_hands_that_come_and_go(hand_model: HandModel) -> None:
    writer = MarkerWriter(1.5)
    for seed, sides in enumerate([*SEEN, *SEEN[::-1], SEEN[3]]):
        hands = two_hands(hand_model, sides, seed)
        header = Header(stamp=Time(sec=seed, nanosec=7 * seed), frame_id="cam" * (seed % 3))
        message = expected(hands, header, Duration(sec=1, nanosec=500_000_000))
        assert_same_bytes(writer.write(hands, header), message)


def test_earlier_bytes_are_not_touched(hand_model: HandModel) -> None:
    writer = MarkerWriter(0.3)
    hands = two_hands(hand_model)
    first = writer.write(hands, HEADER)
    kept = bytes(bytearray(first))
    writer.write(two_hands(hand_model, seed=1), HEADER)
    assert first == kept


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))
frame_ids = texts | st.integers(0, 300).map("f".__mul__)


@given(
    frame_id=frame_ids,
    sec=st.integers(-(2**31), 2**31 - 1),
    nanosec=st.integers(0, 2**32 - 1),
    sides=st.sampled_from(SEEN),
    lifetime=st.sampled_from([0.0, 0.3, 2.0]),
)
def test_any_header(
    small_hands: TwoHands, frame_id: str, sec: int, nanosec: int, sides: tuple[Side, ...], lifetime: float
) -> None:
    right, left = (hand if hand and hand.side in sides else None for hand in (small_hands.right, small_hands.left))
    hands = TwoHands(right, left, None, metric=True)
    header = Header(stamp=Time(sec=sec, nanosec=nanosec), frame_id=frame_id)
    whole = int(lifetime)
    message = expected(hands, header, Duration(sec=whole, nanosec=round((lifetime - whole) * 1e9)))
    assert_same_bytes(MarkerWriter(lifetime).write(hands, header), message)


@given(values=st.lists(st.floats(width=64), min_size=12, max_size=12))
def test_any_place(small_hands: TwoHands, values: list[float]) -> None:
    assert small_hands.right is not None
    hand = replace(small_hands.right, vertices=np.reshape(values, (4, 3)))
    hands = TwoHands(hand, None, None, metric=True)
    data = MarkerWriter(0.3).write(hands, HEADER)
    points = deserialize_message(data, MarkerArray).markers[0].points
    np.testing.assert_array_equal([(p.x, p.y, p.z) for p in points], hand.vertices[hand.faces].reshape(-1, 3))


@pytest.fixture(scope="module")
def small_hands(hand_model: HandModel) -> TwoHands:
    """Two triangles each: hundreds of examples in no time."""
    hands = two_hands(hand_model)
    faces = np.array([[0, 2, 1], [0, 3, 2]])
    small = [replace(hand, vertices=hand.vertices[:4], faces=faces) for hand in hands.hands]
    return TwoHands(small[0], small[1], None, metric=True)


def test_a_lifetime_can_be_changed(hand_model: HandModel) -> None:
    writer = MarkerWriter(0.3)
    writer.write(no_hands(), HEADER)
    writer.lifetime = 2.25
    told = deserialize_message(writer.write(no_hands(), HEADER), MarkerArray)
    assert [m.lifetime for m in told.markers] == [Duration(sec=2, nanosec=250_000_000)] * 2


def test_no_hands_delete_both() -> None:
    told = deserialize_message(MarkerWriter(0.3).write(no_hands(), HEADER), MarkerArray)
    assert [(m.ns, m.id, m.action) for m in told.markers] == [("hands", 0, Marker.DELETE), ("hands", 1, Marker.DELETE)]


def test_hands_without_a_place_are_refused() -> None:
    with pytest.raises(ValueError, match="uncalibrated"):
        MarkerWriter(0.3).write(unplaced(), HEADER)


def test_a_subscriber_gets_the_message(hand_model: HandModel) -> None:
    with lone_node() as node:
        heard: list[MarkerArray] = []
        node.create_subscription(MarkerArray, "markers", heard.append, output_profile())
        publisher = node.create_publisher(MarkerArray, "markers", output_profile())
        executor = SingleThreadedExecutor(context=node.context)
        executor.add_node(node)
        data = MarkerWriter(0.3).write(two_hands(hand_model), HEADER)

        def published_and_heard() -> bool:
            publisher.publish(data)
            executor.spin_once(timeout_sec=0.05)
            return bool(heard)

        wait_for(published_and_heard, "markers")
        executor.shutdown()
    assert heard[0] == deserialize_message(data, MarkerArray)
