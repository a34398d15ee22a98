"""Tests of the serialised markers, compared with rclpy's serialisation of the same message."""

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
from support.cdr import CdrEncoder
from support.ros_hands import no_hands, three_people, two_hands, uncalibrated_hands
from support.ros_node import isolated_node
from support.waiting import wait_for
from visualization_msgs.msg import Marker, MarkerArray

from lgnet_core.hand_model import HandModel
from lgnet_core.types import Hands, Side, TwoHands
from lgnet_ros.output.markers import MarkerSerializer
from lgnet_ros.qos import output_profile

HEADER = Header(stamp=Time(sec=1234567890, nanosec=987654321), frame_id="camera")
SIDE_COMBINATIONS = [(), (Side.RIGHT,), (Side.LEFT,), (Side.RIGHT, Side.LEFT)]
ORANGE, BLUE = (230, 159, 0), (0, 114, 178)  # same as in the overlay


def expected(hands: Hands, header: Header, lifetime: Duration, max_people: int = 1) -> MarkerArray:
    """The message, with a Point for each corner of each triangle."""
    markers = []
    present = {hand.key: hand for hand in hands.hands}
    for number in range(2 * max_people):
        hand, colour = present.get(divmod(number, 2)), (ORANGE, BLUE)[number % 2]
        corners = [] if hand is None else hand.vertices[hand.faces].reshape(-1, 3).tolist()
        markers.append(
            Marker(
                header=header,
                ns="hands",
                id=number,
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
    """Compare both serialisations with the CDR standard. Padding bytes are undefined."""
    for candidate in (data, serialize_message(message)):
        CdrEncoder(message).assert_equal(candidate)


@pytest.mark.parametrize("sides", SIDE_COMBINATIONS)
def test_bytes_equal_rclpys_serialization(hand_model: HandModel, sides: tuple[Side, ...]) -> None:
    hands = two_hands(hand_model, sides)
    data = MarkerSerializer(0.3).serialize(hands, HEADER)
    message = expected(hands, HEADER, Duration(sec=0, nanosec=300_000_000))
    assert_same_bytes(data, message)
    assert deserialize_message(data, MarkerArray) == deserialize_message(serialize_message(message), MarkerArray)


def test_people_have_markers_of_their_own_also_when_they_are_gone(hand_model: HandModel) -> None:
    serializer = MarkerSerializer(0.0, max_people=3)
    for hands in (three_people(hand_model), two_hands(hand_model, person=1), no_hands()):
        assert_same_bytes(serializer.serialize(hands, HEADER), expected(hands, HEADER, Duration(), max_people=3))


def test_appearing_and_disappearing_hands(hand_model: HandModel) -> None:
    serializer = MarkerSerializer(1.5)
    for seed, sides in enumerate([*SIDE_COMBINATIONS, *SIDE_COMBINATIONS[::-1], SIDE_COMBINATIONS[3]]):
        hands = two_hands(hand_model, sides, seed)
        header = Header(stamp=Time(sec=seed, nanosec=7 * seed), frame_id="cam" * (seed % 3))
        message = expected(hands, header, Duration(sec=1, nanosec=500_000_000))
        assert_same_bytes(serializer.serialize(hands, header), message)


def test_earlier_results_are_not_modified(hand_model: HandModel) -> None:
    serializer = MarkerSerializer(0.3)
    hands = two_hands(hand_model)
    first = serializer.serialize(hands, HEADER)
    copy = bytes(bytearray(first))
    serializer.serialize(two_hands(hand_model, seed=1), HEADER)
    assert first == copy


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))
frame_ids = texts | st.integers(0, 300).map("f".__mul__)


@given(
    frame_id=frame_ids,
    sec=st.integers(-(2**31), 2**31 - 1),
    nanosec=st.integers(0, 2**32 - 1),
    sides=st.sampled_from(SIDE_COMBINATIONS),
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
    assert_same_bytes(MarkerSerializer(lifetime).serialize(hands, header), message)


@given(values=st.lists(st.floats(width=64), min_size=12, max_size=12))
def test_any_coordinates(small_hands: TwoHands, values: list[float]) -> None:
    assert small_hands.right is not None
    hand = replace(small_hands.right, vertices=np.reshape(values, (4, 3)))
    hands = TwoHands(hand, None, None, metric=True)
    data = MarkerSerializer(0.3).serialize(hands, HEADER)
    points = deserialize_message(data, MarkerArray).markers[0].points
    np.testing.assert_array_equal([(p.x, p.y, p.z) for p in points], hand.vertices[hand.faces].reshape(-1, 3))


@pytest.fixture(scope="module")
def small_hands(hand_model: HandModel) -> TwoHands:
    """Hands of two triangles, for fast examples."""
    hands = two_hands(hand_model)
    faces = np.array([[0, 2, 1], [0, 3, 2]])
    small = [replace(hand, vertices=hand.vertices[:4], faces=faces) for hand in hands.hands]
    return TwoHands(small[0], small[1], None, metric=True)


def test_lifetime_can_be_changed(hand_model: HandModel) -> None:
    serializer = MarkerSerializer(0.3)
    serializer.serialize(no_hands(), HEADER)
    serializer.lifetime = 2.25
    message = deserialize_message(serializer.serialize(no_hands(), HEADER), MarkerArray)
    assert [m.lifetime for m in message.markers] == [Duration(sec=2, nanosec=250_000_000)] * 2


def test_no_hands_deletes_both_markers() -> None:
    message = deserialize_message(MarkerSerializer(0.3).serialize(no_hands(), HEADER), MarkerArray)
    assert [(m.ns, m.id, m.action) for m in message.markers] == [
        ("hands", 0, Marker.DELETE),
        ("hands", 1, Marker.DELETE),
    ]


def test_uncalibrated_hands_are_rejected() -> None:
    with pytest.raises(ValueError, match="uncalibrated"):
        MarkerSerializer(0.3).serialize(uncalibrated_hands(), HEADER)


def test_subscriber_receives_the_message(hand_model: HandModel) -> None:
    with isolated_node() as node:
        received: list[MarkerArray] = []
        node.create_subscription(MarkerArray, "markers", received.append, output_profile())
        publisher = node.create_publisher(MarkerArray, "markers", output_profile())
        executor = SingleThreadedExecutor(context=node.context)
        executor.add_node(node)
        data = MarkerSerializer(0.3).serialize(two_hands(hand_model), HEADER)

        def publish_and_receive() -> bool:
            publisher.publish(data)
            executor.spin_once(timeout_sec=0.05)
            return bool(received)

        wait_for(publish_and_receive, "markers")
        executor.shutdown()
    assert received[0] == deserialize_message(data, MarkerArray)
