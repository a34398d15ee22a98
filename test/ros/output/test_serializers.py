"""Messages as bytes: those that rclpy makes of the message objects, whoever is seen and whatever the numbers are."""

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
from support.cdr import Encoder
from support.ros_hands import no_hands, two_hands, unplaced
from tf2_msgs.msg import TFMessage

from lgnet_core.geometry.hand_frame import HandFrames, Pose
from lgnet_core.geometry.inter_hand import InterHand
from lgnet_core.hand_model import HandModel
from lgnet_core.types import Side, TwoHands
from lgnet_ros.output.messages import to_inter_hand, to_joints_array, to_mesh_array
from lgnet_ros.output.serialized import HandsWriter, InterHandWriter
from lgnet_ros.output.template import Template, Templates, mark, marked_header, stamp_numbers
from lgnet_ros.output.transforms import TransformWriter, to_transforms

HEADER = Header(stamp=Time(sec=1234567890, nanosec=987654321), frame_id="camera")
SEEN = [(), (Side.RIGHT,), (Side.LEFT,), (Side.RIGHT, Side.LEFT)]

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


def assert_same(data: bytes | None, message: Any) -> None:
    """Of rclpy and of the standard; bytes between fields, there to align them, are whatever memory held."""
    assert data is not None
    assert deserialize_message(data, type(message)) == deserialize_message(serialize_message(message), type(message))
    Encoder(message).assert_same(data)


@pytest.fixture(scope="module")
def small_hands(hand_model: HandModel) -> TwoHands:
    """Meshes of two triangles: hundreds of examples in no time."""
    faces = np.array([[0, 2, 1], [0, 3, 2]])
    right, left = (replace(h, vertices=h.vertices[:4], faces=faces) for h in two_hands(hand_model).hands)
    return TwoHands(right, left, None, metric=True)


def test_one_writer_follows_hands_that_come_and_go(hand_model: HandModel, frames: HandFrames) -> None:
    hands_writer, transforms = HandsWriter(), TransformWriter("arm/")
    for seed, sides in enumerate([*SEEN, *SEEN[::-1], SEEN[3]]):
        hands = two_hands(hand_model, sides, seed)
        header = Header(stamp=Time(sec=seed, nanosec=7 * seed), frame_id="cam" * (1 + seed % 3))
        poses = frames.poses(hands.hands)
        joints = {hand.side: frames.joint_poses(hand) for hand in hands.hands if seed % 2}
        assert_same(hands_writer.joints(hands, header, poses), to_joints_array(hands, header, poses))
        assert_same(hands_writer.mesh(hands, header, poses), to_mesh_array(hands, header, poses))
        if sides:
            made = TFMessage(transforms=to_transforms(hands, header, poses, "arm/", joints))
            assert_same(transforms.write(hands, header, poses, joints), made)


@given(header=headers, sides=st.sampled_from(SEEN), track_id=st.integers(0, 2**32 - 1), number=numbers)
def test_any_header_and_any_number(
    small_hands: TwoHands, header: Header, sides: tuple[Side, ...], track_id: int, number: float
) -> None:
    right, left = (
        replace(hand, track_id=track_id, presence=number, joints=hand.joints * number) if hand.side in sides else None
        for hand in small_hands.hands
    )
    hands = TwoHands(right, left, None, metric=True)
    pose = Pose(np.array([number, -number, 0.0]), np.array([1.0, number, 0.0, -number]))
    poses = dict.fromkeys(Side, pose)
    writer = HandsWriter()
    assert_same(writer.joints(hands, header, poses), to_joints_array(hands, header, poses))
    assert_same(writer.mesh(hands, header, poses), to_mesh_array(hands, header, poses))
    if sides:
        made = TFMessage(transforms=to_transforms(hands, header, poses, ""))
        assert_same(TransformWriter("").write(hands, header, poses), made)
    relation = InterHand(pose, abs(number), np.full(3, number), np.full(3, -number), number)
    inter_hand = InterHandWriter("left/")
    for _ in range(2):
        assert_same(inter_hand.write(relation, header), to_inter_hand(relation, header, "left/"))


def test_the_constants_of_the_messages_stay(hand_model: HandModel, frames: HandFrames) -> None:
    """Sides and names are in no number."""
    hands = two_hands(hand_model)
    poses = frames.poses(hands.hands)
    told: HandJointsArray = deserialize_message(HandsWriter().joints(hands, HEADER, poses), HandJointsArray)
    assert [hand.side for hand in told.hands] == [0, 1]
    relation = InterHand(poses[Side.LEFT], 0.1, np.zeros(3), np.ones(3), 0.5)
    said: InterHandTransform = deserialize_message(InterHandWriter("p_").write(relation, HEADER), InterHandTransform)
    assert (said.right_frame, said.left_frame, said.distance) == ("p_hand_right", "p_hand_left", np.float32(0.1))


def test_earlier_bytes_are_not_touched(hand_model: HandModel, frames: HandFrames) -> None:
    writer = HandsWriter()
    hands, others = two_hands(hand_model), two_hands(hand_model, seed=1)
    first = writer.mesh(hands, HEADER, frames.poses(hands.hands))
    kept = bytes(bytearray(first))
    writer.mesh(others, HEADER, frames.poses(others.hands))
    assert first == kept


def test_triangles_are_the_images_own(hand_model: HandModel, frames: HandFrames) -> None:
    """Another hand model of the same size may have them in another order."""
    writer, hands = HandsWriter(), two_hands(hand_model, (Side.RIGHT,))
    assert hands.right is not None
    turned = TwoHands(replace(hands.right, faces=np.roll(hands.right.faces, 1, 0)), None, None, metric=True)
    poses = frames.poses(hands.hands)
    for each in (hands, turned):
        assert_same(writer.mesh(each, HEADER, poses), to_mesh_array(each, HEADER, poses))


def test_no_hands_have_messages_but_no_frames() -> None:
    told: HandMeshArray = deserialize_message(HandsWriter().mesh(no_hands(), HEADER, {}), HandMeshArray)
    assert (told.header, list(told.hands)) == (HEADER, [])
    assert TransformWriter("").write(no_hands(), HEADER, {}) is None


def test_nothing_stands_under_no_frame(hand_model: HandModel, frames: HandFrames) -> None:
    hands = two_hands(hand_model)
    assert TransformWriter("").write(hands, Header(), frames.poses(hands.hands)) is None


def test_hands_without_a_place_are_refused() -> None:
    for write in (HandsWriter().joints, HandsWriter().mesh, TransformWriter("").write):
        with pytest.raises(ValueError, match="uncalibrated"):
            write(unplaced(), HEADER, {})


def test_marks_between_which_fields_are_aligned(monkeypatch: pytest.MonkeyPatch) -> None:
    """What memory held between two fields may look like a mark."""
    padded = b"\0\1\0\0" + b"\xfe" * 1 + b"\xfe" * 3 + b"\xfe" * 4 + b"\xfe" * 8 + b"\0" * 4
    monkeypatch.setattr("lgnet_ros.output.template.serialize_message", lambda message: padded)
    template = Template(None, [(np.uint8, 0), (np.uint32, 0), (np.float64, 0.0)])
    filled = template.fill([(np.uint8, 7), (np.uint32, 0x01020304), (np.float64, 1.0)])
    assert filled[4] == 7
    assert filled[8:12] == bytes([4, 3, 2, 1])
    assert filled[12:20] == np.float64(1.0).tobytes()


def test_templates_are_few() -> None:
    """A camera that names every image's frame anew does not fill the memory."""
    templates, made = Templates(), []
    for k in range(100):
        header = Header(frame_id=str(k))

        def make(header: Header = header) -> Header:
            made.append(header.frame_id)
            return marked_header(header)

        for _ in range(2):
            assert deserialize_message(templates.write(str(k), stamp_numbers(header), make), Header) == header
    assert len(made) == 100
    assert len(templates._templates) <= 8


def test_no_text_holds_a_mark() -> None:
    for text in ("\u00fe", "\ufefe", "\U000efefe"):
        assert b"\xfe" not in serialize_message(String(data=text))
    assert mark(np.float32) == np.float32(mark(np.float32))
