"""TF transforms of the hand and joint frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from geometry_msgs.msg import TransformStamped
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from lgnet_core.geometry.hand_frame import Pose
from lgnet_core.messages.names import hand_frame_name
from lgnet_core.types import JOINT_NAMES, HandKey, Hands
from lgnet_ros.output.messages import Poses, require_metric, to_transform
from lgnet_ros.output.serialization_template import Field, TemplateCache, placeholder_header, stamp_fields
from lgnet_ros.output.serializers import PLACEHOLDER_POSE, pose_fields

NO_JOINTS: Mapping[HandKey, Sequence[Pose]] = {}


def to_transforms(
    hands: Hands, header: Header, poses: Poses, prefix: str, joint_poses: Mapping[HandKey, Sequence[Pose]] = NO_JOINTS
) -> list[TransformStamped]:
    """Transforms from the image's frame to the frames of the present hands, at the image's stamp.

    Args:
        header: of the image. If its frame_id is empty, no transforms are returned, since TF rejects an empty parent.
        poses: of the present hands.
        prefix: value of the parameter ``frame_prefix``.
        joint_poses: of the 21 joints of each hand, see
            :meth:`lgnet_core.geometry.hand_frame.HandFrames.joint_poses`. Their frames are named
            ``<hand frame>_<joint>``; the wrist is omitted, since it is the origin of the hand frame.

    Raises:
        ValueError: see :func:`lgnet_ros.output.messages.require_metric`.
    """
    require_metric(hands)
    if not header.frame_id:
        return []
    transforms = []
    for hand in hands.hands:
        name = hand_frame_name(prefix, hand.side, hand.person)
        transforms.append(_stamped(header, name, poses[hand.key]))
        named = list(zip(JOINT_NAMES, joint_poses.get(hand.key, ())))[1:]
        transforms += [_stamped(header, f"{name}_{joint}", pose) for joint, pose in named]
    return transforms


class TransformSerializer:
    """Serialises the message for ``/tf``; ``prefix`` is the parameter ``frame_prefix``."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._templates = TemplateCache()

    def serialize(
        self, hands: Hands, header: Header, poses: Poses, joint_poses: Mapping[HandKey, Sequence[Pose]] = NO_JOINTS
    ) -> bytes | None:
        """Serialised result of :func:`to_transforms`; None if there are no transforms."""
        require_metric(hands)
        keys = [hand.key for hand in hands.hands]
        if not header.frame_id or not keys:
            return None
        fields: list[Field] = []
        for key in keys:
            for pose in (poses[key], *joint_poses.get(key, ())[1:]):
                fields += [*stamp_fields(header), *pose_fields(pose)]

        def placeholder_message() -> TFMessage:
            hand_poses = dict.fromkeys(keys, PLACEHOLDER_POSE)
            joints = {key: [PLACEHOLDER_POSE] * len(poses) for key, poses in joint_poses.items()}
            header_ = placeholder_header(header)
            return TFMessage(transforms=to_transforms(hands, header_, hand_poses, self._prefix, joints))

        return self._templates.serialize((header.frame_id, tuple(keys), len(fields)), fields, placeholder_message)


def _stamped(header: Header, child_frame_id: str, pose: Pose) -> TransformStamped:
    return TransformStamped(header=header, child_frame_id=child_frame_id, transform=to_transform(pose))
