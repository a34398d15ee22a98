"""The message of ``hands/openxr``: names, order, validity, and the same numbers as the converter's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from lgnet_ros.msg import OpenXRHandJoints
from rclpy.serialization import deserialize_message
from std_msgs.msg import Header
from support.cdr import CdrEncoder
from support.fixed_hands import two_hands, wrist_relative
from support.waiting import wait_for

from lgnet_core.hand_model import HandModel
from lgnet_core.robotics.openxr import JOINT_NAMES, OpenXRConverter
from lgnet_core.types import Side
from lgnet_ros.output.openxr import OpenXRSerializer, to_openxr
from lgnet_ros.qos import output_profile

HEADER = Header(frame_id="camera")
HEADER.stamp.sec = 42


@pytest.mark.parametrize("sides", [(), (Side.RIGHT,), (Side.LEFT,), (Side.RIGHT, Side.LEFT)])
def test_serialised_like_the_message(hand_model: HandModel, sides: tuple[Side, ...]) -> None:
    hands = two_hands(hand_model)
    hands = replace(hands, **{side.label: None for side in Side if side not in sides})
    converter = OpenXRConverter(hand_model)
    joints = {Side.RIGHT: converter(hands.right), Side.LEFT: converter(hands.left)}
    data = OpenXRSerializer(hand_model).serialize(hands, HEADER)
    message = deserialize_message(data, OpenXRHandJoints)
    expected = to_openxr(joints, HEADER)
    assert message == expected
    CdrEncoder(expected).assert_equal(data)
    assert message.name == [f"{side}_{joint}" for side in ("left", "right") for joint in JOINT_NAMES]
    assert message.is_valid == [side in sides for side in (Side.LEFT, Side.RIGHT) for _ in JOINT_NAMES]
    positions = np.array([[p.position.x, p.position.y, p.position.z] for p in message.pose]).reshape(2, 26, 3)
    for block, side in zip(positions, (Side.LEFT, Side.RIGHT)):
        np.testing.assert_array_equal(block, joints[side].positions)
    for pose in message.pose:
        q = pose.orientation
        assert np.linalg.norm([q.x, q.y, q.z, q.w]) == pytest.approx(1)


def test_uncalibrated_hands_are_refused(hand_model: HandModel) -> None:
    with pytest.raises(ValueError, match="uncalibrated"):
        OpenXRSerializer(hand_model).serialize(wrist_relative(two_hands(hand_model)), HEADER)


def test_message_reaches_a_subscriber(ros_domain, hand_model: HandModel) -> None:
    received = ros_domain.subscribe(OpenXRHandJoints, "hands/openxr")
    publisher = ros_domain.node.create_publisher(OpenXRHandJoints, "hands/openxr", output_profile())
    wait_for(publisher.get_subscription_count)
    publisher.publish(OpenXRSerializer(hand_model).serialize(two_hands(hand_model), HEADER))
    (message,) = wait_for(lambda: received)
    assert (message.header, len(message.pose), all(message.is_valid)) == (HEADER, 52, True)
