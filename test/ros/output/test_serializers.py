"""Tests of the template-based serializers, compared with rclpy's serialisation of the same messages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from lgnet_ros.msg import HandJointsArray, HandMeshArray, InterHandTransform
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header, String
from support.cdr import CdrEncoder
from support.ros_hands import QUALITIES, no_hands, three_people, two_hands, uncalibrated_hands
from tf2_msgs.msg import TFMessage

from lgnet_core.geometry.hand_frame import HandFrames, Pose
from lgnet_core.geometry.inter_hand import InterHand, inter_hand
from lgnet_core.hand_model import HandModel
from lgnet_core.types import Side, TwoHands
from lgnet_ros.output.messages import to_inter_hand, to_joints_array, to_mesh_array
from lgnet_ros.output.serialization_template import (
    SerializedTemplate,
    TemplateCache,
    placeholder,
    placeholder_header,
    stamp_fields,
)
from lgnet_ros.output.serializers import HandsSerializer, InterHandSerializer
from lgnet_ros.output.transforms import TransformSerializer, to_transforms

HEADER = Header(stamp=Time(sec=1234567890, nanosec=987654321), frame_id="camera")
AGE = 0.0625
SIDE_COMBINATIONS = [(), (Side.RIGHT,), (Side.LEFT,), (Side.RIGHT, Side.LEFT)]

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1)
headers = st.builds(
    Header,
    stamp=st.builds(Time, sec=st.integers(-(2**31), 2**31 - 1), nanosec=st.integers(0, 2**32 - 1)),
    frame_id=texts | st.integers(1, 300).map("f".__mul__),
)
numbers = st.floats(width=32, allow_nan=False)


@pytest.fixture(scope="module")
def frames(hand_model: HandModel) -> HandFrames:
    return HandFrames(hand_model)


def assert_serialized(data: bytes | None, message: Any) -> None:
    """Compare with rclpy's serialisation and the CDR standard. Padding bytes are undefined."""
    assert data is not None
    assert deserialize_message(data, type(message)) == deserialize_message(serialize_message(message), type(message))
    CdrEncoder(message).assert_equal(data)


@pytest.fixture(scope="module")
def small_hands(hand_model: HandModel) -> TwoHands:
    """Hands of two triangles, for fast examples."""
    faces = np.array([[0, 2, 1], [0, 3, 2]])
    right, left = (replace(h, vertices=h.vertices[:4], faces=faces) for h in two_hands(hand_model).hands)
    return TwoHands(right, left, None, metric=True)


def test_appearing_and_disappearing_hands(hand_model: HandModel, frames: HandFrames) -> None:
    hands_serializer, transforms = HandsSerializer(), TransformSerializer("arm/")
    for seed, sides in enumerate([*SIDE_COMBINATIONS, *SIDE_COMBINATIONS[::-1], SIDE_COMBINATIONS[3]]):
        hands = two_hands(hand_model, sides, seed)
        header = Header(stamp=Time(sec=seed, nanosec=7 * seed), frame_id="cam" * (1 + seed % 3))
        poses = frames.poses(hands.hands)
        joints = {hand.key: frames.joint_poses(hand) for hand in hands.hands if seed % 2}
        assert_serialized(
            hands_serializer.joints(hands, header, AGE, poses, QUALITIES),
            to_joints_array(hands, header, AGE, poses, QUALITIES),
        )
        assert_serialized(hands_serializer.mesh(hands, header, AGE, poses), to_mesh_array(hands, header, AGE, poses))
        if sides:
            expected = TFMessage(transforms=to_transforms(hands, header, poses, "arm/", joints))
            assert_serialized(transforms.serialize(hands, header, poses, joints), expected)


@given(header=headers, sides=st.sampled_from(SIDE_COMBINATIONS), track_id=st.integers(0, 2**32 - 1), number=numbers)
def test_any_header_and_any_numbers(
    small_hands: TwoHands, header: Header, sides: tuple[Side, ...], track_id: int, number: float
) -> None:
    right, left = (
        replace(hand, track_id=track_id, presence=number, joints=hand.joints * number) if hand.side in sides else None
        for hand in small_hands.hands
    )
    hands = TwoHands(right, left, None, metric=True)
    pose = Pose(np.array([number, -number, 0.0]), np.array([1.0, number, 0.0, -number]))
    poses = {hand.key: pose for hand in hands.hands}
    serializer = HandsSerializer()
    assert_serialized(
        serializer.joints(hands, header, AGE, poses, QUALITIES), to_joints_array(hands, header, AGE, poses, QUALITIES)
    )
    assert_serialized(serializer.mesh(hands, header, AGE, poses), to_mesh_array(hands, header, AGE, poses))
    if sides:
        expected = TFMessage(transforms=to_transforms(hands, header, poses, ""))
        assert_serialized(TransformSerializer("").serialize(hands, header, poses), expected)
    covariance = QUALITIES[0, Side.LEFT].covariance
    points = np.full(3, number), np.full(3, -number)
    relation = InterHand(track_id % 4, pose, covariance, abs(number), number, *points, number)
    inter_hand = InterHandSerializer("left/")
    for _ in range(2):
        assert_serialized(
            inter_hand.serialize(relation, header, number), to_inter_hand(relation, header, number, "left/")
        )


def test_sides_and_frame_names_are_constant(hand_model: HandModel, frames: HandFrames) -> None:
    """They are part of the template."""
    hands = two_hands(hand_model)
    poses = frames.poses(hands.hands)
    joints: HandJointsArray = deserialize_message(
        HandsSerializer().joints(hands, HEADER, AGE, poses, QUALITIES), HandJointsArray
    )
    assert [hand.side for hand in joints.hands] == [0, 1]
    relation = InterHand(0, poses[0, Side.LEFT], np.eye(6), 0.1, 0.02, np.zeros(3), np.ones(3), 0.5)
    message: InterHandTransform = deserialize_message(
        InterHandSerializer("p_").serialize(relation, HEADER, AGE), InterHandTransform
    )
    assert (message.right_frame, message.left_frame, message.distance) == (
        "p_hand_right",
        "p_hand_left",
        np.float32(0.1),
    )


def test_hands_of_several_people(hand_model: HandModel, frames: HandFrames) -> None:
    serializer, transforms = HandsSerializer(), TransformSerializer("arm/")
    for seed in range(2):
        hands = three_people(hand_model, seed)
        poses = frames.poses(hands.hands)
        joints = {hand.key: frames.joint_poses(hand) for hand in hands.hands}
        data = serializer.joints(hands, HEADER, AGE, poses, QUALITIES)
        assert_serialized(data, to_joints_array(hands, HEADER, AGE, poses, QUALITIES))
        assert_serialized(serializer.mesh(hands, HEADER, AGE, poses), to_mesh_array(hands, HEADER, AGE, poses))
        message = TFMessage(transforms=to_transforms(hands, HEADER, poses, "arm/", joints))
        assert_serialized(transforms.serialize(hands, HEADER, poses, joints), message)
        people = [(hand.person, hand.side) for hand in deserialize_message(data, HandJointsArray).hands]
        assert people == [(0, 0), (0, 1), (1, 0), (2, 1)]
        children = [each.child_frame_id for each in message.transforms]
        assert len(set(children)) == len(children)
        assert {"arm/hand_right", "arm/hand_left", "arm/hand_right_1", "arm/hand_left_2"} <= set(children)


def test_frames_of_another_persons_hands(hand_model: HandModel, frames: HandFrames) -> None:
    hands = two_hands(hand_model, person=2)
    relation = inter_hand(hands, frames.poses(hands.hands))
    data = InterHandSerializer("").serialize(relation, HEADER, AGE)
    assert_serialized(data, to_inter_hand(relation, HEADER, AGE, ""))
    message = deserialize_message(data, InterHandTransform)
    assert (message.person, message.right_frame, message.left_frame) == (2, "hand_right_2", "hand_left_2")


def test_earlier_results_are_not_modified(hand_model: HandModel, frames: HandFrames) -> None:
    serializer = HandsSerializer()
    hands, others = two_hands(hand_model), two_hands(hand_model, seed=1)
    first = serializer.mesh(hands, HEADER, AGE, frames.poses(hands.hands))
    copy = bytes(bytearray(first))
    serializer.mesh(others, HEADER, AGE, frames.poses(others.hands))
    assert first == copy


def test_triangles_are_not_cached(hand_model: HandModel, frames: HandFrames) -> None:
    """Another hand model of the same size may order them differently."""
    serializer, hands = HandsSerializer(), two_hands(hand_model, (Side.RIGHT,))
    assert hands.right is not None
    reordered = TwoHands(replace(hands.right, faces=np.roll(hands.right.faces, 1, 0)), None, None, metric=True)
    poses = frames.poses(hands.hands)
    for each in (hands, reordered):
        assert_serialized(serializer.mesh(each, HEADER, AGE, poses), to_mesh_array(each, HEADER, AGE, poses))


def test_no_hands_give_an_empty_message_and_no_transforms() -> None:
    message: HandMeshArray = deserialize_message(HandsSerializer().mesh(no_hands(), HEADER, AGE, {}), HandMeshArray)
    assert (message.header, list(message.hands)) == (HEADER, [])
    assert TransformSerializer("").serialize(no_hands(), HEADER, {}) is None


def test_no_transforms_without_parent_frame(hand_model: HandModel, frames: HandFrames) -> None:
    hands = two_hands(hand_model)
    assert TransformSerializer("").serialize(hands, Header(), frames.poses(hands.hands)) is None


def test_uncalibrated_hands_are_rejected() -> None:
    hands = uncalibrated_hands()
    with pytest.raises(ValueError, match="uncalibrated"):
        HandsSerializer().joints(hands, HEADER, AGE, {}, {})
    with pytest.raises(ValueError, match="uncalibrated"):
        HandsSerializer().mesh(hands, HEADER, AGE, {})
    with pytest.raises(ValueError, match="uncalibrated"):
        TransformSerializer("").serialize(hands, HEADER, {})


def test_padding_that_equals_the_placeholder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Padding bytes are uninitialised and may equal the placeholder."""
    padded = b"\0\1\0\0" + b"\xfe" * 1 + b"\xfe" * 3 + b"\xfe" * 4 + b"\xfe" * 8 + b"\0" * 4
    monkeypatch.setattr("lgnet_ros.output.serialization_template.serialize_message", lambda message: padded)
    template = SerializedTemplate(None, [(np.uint8, 0), (np.uint32, 0), (np.float64, 0.0)])
    filled = template.fill([(np.uint8, 7), (np.uint32, 0x01020304), (np.float64, 1.0)])
    assert filled[4] == 7
    assert filled[8:12] == bytes([4, 3, 2, 1])
    assert filled[12:20] == np.float64(1.0).tobytes()


def test_number_of_cached_templates_is_limited() -> None:
    """A different frame_id in every image must not exhaust the memory."""
    templates, created = TemplateCache(), []
    for k in range(100):
        header = Header(frame_id=str(k))

        def create_message(header: Header = header) -> Header:
            created.append(header.frame_id)
            return placeholder_header(header)

        for _ in range(2):
            assert (
                deserialize_message(templates.serialize(str(k), stamp_fields(header), create_message), Header) == header
            )
    assert len(created) == 100
    assert len(templates._templates) <= 8


def test_no_text_contains_the_placeholder() -> None:
    for text in ("\u00fe", "\ufefe", "\U000efefe"):
        assert b"\xfe" not in serialize_message(String(data=text))
    assert placeholder(np.float32) == np.float32(placeholder(np.float32))
