"""Hands to transforms for TF."""

from __future__ import annotations

from geometry_msgs.msg import TransformStamped
from std_msgs.msg import Header

from lgnet_core.hand_frame import HandFrames, Pose
from lgnet_core.types import JOINT_NAMES, TwoHands
from lgnet_ros.messages import hand_frame_name, require_metric, to_transform


def to_transforms(
    hands: TwoHands, header: Header, frames: HandFrames, prefix: str, joint_frames: bool
) -> list[TransformStamped]:
    """The frames of the hands that were seen, under the picture's frame and at its stamp.

    Args:
        header: of the picture. With an empty frame_id there is nothing to stand under: TF would refuse every frame, so
            none is made.
        prefix: the parameter ``frame_prefix``.
        joint_frames: also ``<hand's frame>_<joint>`` for each joint but the wrist, where the hand's own frame stands.

    Raises:
        ValueError: see :func:`lgnet_ros.messages.require_metric`.
    """
    require_metric(hands)
    if not header.frame_id:
        return []
    transforms = []
    for hand in hands.hands:
        name = hand_frame_name(prefix, hand.side)
        transforms.append(_stamped(header, name, frames.pose(hand)))
        if joint_frames:
            poses = frames.joint_poses(hand)[1:]
            transforms += [_stamped(header, f"{name}_{joint}", p) for joint, p in zip(JOINT_NAMES[1:], poses)]
    return transforms


def _stamped(header: Header, child: str, pose: Pose) -> TransformStamped:
    return TransformStamped(header=header, child_frame_id=child, transform=to_transform(pose))
