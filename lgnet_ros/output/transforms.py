"""Hands to transforms for TF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from geometry_msgs.msg import TransformStamped
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from lgnet_core.geometry.hand_frame import Pose
from lgnet_core.types import JOINT_NAMES, Side, TwoHands
from lgnet_ros.output.messages import Poses, hand_frame_name, require_metric, to_transform
from lgnet_ros.output.serialized import MARKED_POSE, pose_numbers
from lgnet_ros.output.template import Numbers, Templates, marked_header, stamp_numbers

NO_JOINTS: Mapping[Side, Sequence[Pose]] = {}


def to_transforms(
    hands: TwoHands, header: Header, poses: Poses, prefix: str, joint_poses: Mapping[Side, Sequence[Pose]] = NO_JOINTS
) -> list[TransformStamped]:
    """The frames of the hands that were seen, under the image's frame and at its stamp.

    Args:
        header: of the image. With an empty frame_id there is nothing to stand under: TF would refuse every frame, so
            none is made.
        poses: of the hands that were seen.
        prefix: the parameter ``frame_prefix``.
        joint_poses: of the 21 joints of each hand, :meth:`lgnet_core.geometry.hand_frame.HandFrames.joint_poses`, whose
        frames
            are ``<hand's frame>_<joint>``; the wrist, where the hand's own frame stands, is left out.

    Raises:
        ValueError: see :func:`lgnet_ros.output.messages.require_metric`.
    """
    require_metric(hands)
    if not header.frame_id:
        return []
    transforms = []
    for hand in hands.hands:
        name = hand_frame_name(prefix, hand.side)
        transforms.append(_stamped(header, name, poses[hand.side]))
        named = list(zip(JOINT_NAMES, joint_poses.get(hand.side, ())))[1:]
        transforms += [_stamped(header, f"{name}_{joint}", pose) for joint, pose in named]
    return transforms


class TransformWriter:
    """Writes the message for ``/tf``; ``prefix`` is the parameter ``frame_prefix``."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._templates = Templates()

    def write(
        self, hands: TwoHands, header: Header, poses: Poses, joint_poses: Mapping[Side, Sequence[Pose]] = NO_JOINTS
    ) -> bytes | None:
        """:func:`to_transforms` of the same, serialised; None where no frame is made."""
        require_metric(hands)
        seen = [hand.side for hand in hands.hands]
        if not header.frame_id or not seen:
            return None
        numbers: list[Numbers] = []
        for side in seen:
            for pose in (poses[side], *joint_poses.get(side, ())[1:]):
                numbers += [*stamp_numbers(header), *pose_numbers(pose)]

        def marked() -> TFMessage:
            marks = dict.fromkeys(seen, MARKED_POSE)
            joints = {side: [MARKED_POSE] * len(poses) for side, poses in joint_poses.items()}
            return TFMessage(transforms=to_transforms(hands, marked_header(header), marks, self._prefix, joints))

        return self._templates.write((header.frame_id, tuple(seen), len(numbers)), numbers, marked)


def _stamped(header: Header, child: str, pose: Pose) -> TransformStamped:
    return TransformStamped(header=header, child_frame_id=child, transform=to_transform(pose))
