"""The hands as OpenXR's 26 joints each: the message of ``hands/openxr``."""

from __future__ import annotations

import array
from collections.abc import Mapping

import numpy as np
from std_msgs.msg import Header

from lgnet_core.geometry.hand_frame import Pose
from lgnet_core.hand_model import HandModel
from lgnet_core.robotics.openxr import JOINT_NAMES, NUM_JOINTS, HandJoints, OpenXRConverter
from lgnet_core.types import Side, TwoHands
from lgnet_ros.msg import OpenXRHandJoints
from lgnet_ros.output.messages import require_metric, to_pose
from lgnet_ros.output.serialization_template import TemplateCache, placeholder, placeholder_header, stamp_fields

SIDES = (Side.LEFT, Side.RIGHT)  # order of the message, as IsaacTeleop's
NAMES = tuple(f"{side.label}_{joint}" for side in SIDES for joint in JOINT_NAMES)


def to_openxr(joints: Mapping[Side, HandJoints], header: Header) -> OpenXRHandJoints:
    """Message of the joints of both hands, in metres in the frame of the header."""
    hands = [joints[side] for side in SIDES]
    return OpenXRHandJoints(
        header=header,
        name=list(NAMES),
        pose=[to_pose(Pose(*pose)) for hand in hands for pose in zip(hand.positions, hand.orientations)],
        is_valid=[bool(valid) for hand in hands for valid in hand.valid],
        radius=array.array("f", np.concatenate([hand.radii for hand in hands]).astype(np.float32).tobytes()),
    )


class OpenXRSerializer:
    """Converts and serialises hands.

    Args:
        hand_model: the model that the hands were estimated with.
    """

    def __init__(self, hand_model: HandModel) -> None:
        self._convert = OpenXRConverter(hand_model)
        self._templates = TemplateCache()

    def serialize(self, hands: TwoHands, header: Header) -> bytes:
        """Serialised :func:`to_openxr`.

        Raises:
            ValueError: see :func:`lgnet_ros.output.messages.require_metric`.
        """
        require_metric(hands)
        joints = [self._convert({Side.RIGHT: hands.right, Side.LEFT: hands.left}[side]) for side in SIDES]
        poses = np.stack([np.concatenate([hand.positions, hand.orientations], -1) for hand in joints])
        radii = np.concatenate([hand.radii for hand in joints])
        key = (header.frame_id, *(bool(hand.valid.all()) for hand in joints))

        def placeholder_message() -> OpenXRHandJoints:
            number = placeholder(np.float64)
            blank = (np.full((NUM_JOINTS, 3), number), np.full((NUM_JOINTS, 4), number))
            radii = np.full(NUM_JOINTS, placeholder(np.float32))
            blanks = {side: HandJoints(*blank, radii, hand.valid) for side, hand in zip(SIDES, joints)}
            return to_openxr(blanks, placeholder_header(header))

        return self._templates.serialize(
            key, [*stamp_fields(header), (np.float64, poses), (np.float32, radii)], placeholder_message
        )
