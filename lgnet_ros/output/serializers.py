"""Template-based serializers of the messages created in :mod:`lgnet_ros.output.messages`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from std_msgs.msg import Header

from lgnet_core.geometry.hand_frame import Pose
from lgnet_core.geometry.inter_hand import InterHand
from lgnet_core.types import NUM_KEYPOINTS, Hand, Hands, ImageHands, Side, TwoHands
from lgnet_ros.output.messages import (
    Poses,
    Qualities,
    Quality,
    require_metric,
    to_inter_hand,
    to_joints_array,
    to_mesh_array,
)
from lgnet_ros.output.serialization_template import (
    Field,
    TemplateCache,
    placeholder,
    placeholder_header,
    stamp_fields,
)

PLACEHOLDER_POSE = Pose(np.full(3, placeholder(np.float64)), np.full(4, placeholder(np.float64)))
_PLACEHOLDER_COVARIANCE = np.full((6, 6), placeholder(np.float64))
_PLACEHOLDER_QUALITIES = dict.fromkeys(
    [(placeholder(np.uint8), side) for side in Side],
    Quality(_PLACEHOLDER_COVARIANCE, np.full(NUM_KEYPOINTS, placeholder(np.uint8), np.uint8)),
)


class HandsSerializer:
    """Serialises ``hands/joints`` and ``hands/mesh``."""

    def __init__(self) -> None:
        self._joints, self._mesh = TemplateCache(), TemplateCache()

    def joints(self, hands: Hands, header: Header, age: float, poses: Poses, qualities: Qualities) -> bytes:
        """Serialised result of :func:`lgnet_ros.output.messages.to_joints_array`.

        Raises:
            ValueError: see :func:`lgnet_ros.output.messages.require_metric`.
        """
        require_metric(hands)
        fields: list[Field] = [*stamp_fields(header), (np.float64, age)]
        for hand in hands.hands:
            fields += _common_fields(hand, poses[hand.key])
            fields += [
                (np.float64, qualities[hand.key].covariance),
                (np.float64, hand.joints),
                (np.float32, hand.joint_std),
                (np.uint8, qualities[hand.key].visibility),
                (np.float32, hand.joints_2d),
            ]
        key = (header.frame_id, tuple(hand.side for hand in hands.hands))
        return self._joints.serialize(
            key, fields, lambda: to_joints_array(*_placeholders(hands, header), _PLACEHOLDER_QUALITIES)
        )

    def mesh(self, hands: Hands, header: Header, age: float, poses: Poses) -> bytes:
        """Serialised result of :func:`lgnet_ros.output.messages.to_mesh_array`.

        Raises:
            ValueError: see :func:`lgnet_ros.output.messages.require_metric`.
        """
        require_metric(hands)
        fields: list[Field] = [*stamp_fields(header), (np.float64, age)]
        for hand in hands.hands:
            fields += _common_fields(hand, poses[hand.key])
            fields += [(np.float32, hand.vertices), (np.uint32, hand.faces)]
        key = (header.frame_id, tuple((hand.side, len(hand.vertices), len(hand.faces)) for hand in hands.hands))
        return self._mesh.serialize(key, fields, lambda: to_mesh_array(*_placeholders(hands, header)))


class InterHandSerializer:
    """Serialises ``hands/inter_hand``; ``prefix`` is the parameter ``frame_prefix``."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._templates = TemplateCache()

    def serialize(self, relation: InterHand, header: Header, age: float) -> bytes:
        """Serialised result of :func:`lgnet_ros.output.messages.to_inter_hand`."""
        fields: list[Field] = [
            *stamp_fields(header),
            (np.float64, age),
            *pose_fields(relation.pose),
            (np.float64, relation.covariance),
            (np.float32, relation.distance),
            (np.float32, relation.distance_std),
            (np.float64, relation.closest_right),
            (np.float64, relation.closest_left),
            (np.float32, relation.confidence),
        ]
        key = (header.frame_id, relation.person)
        return self._templates.serialize(key, fields, lambda: self._placeholder_message(header, relation.person))

    def _placeholder_message(self, header: Header, person: int) -> object:
        number, point = placeholder(np.float32), PLACEHOLDER_POSE.position
        relation = InterHand(person, PLACEHOLDER_POSE, _PLACEHOLDER_COVARIANCE, number, number, point, point, number)
        return to_inter_hand(relation, placeholder_header(header), placeholder(np.float64), self._prefix)


def pose_fields(pose: Pose) -> list[Field]:
    """Fields of a pose or transform."""
    return [(np.float64, pose.position), (np.float64, pose.quaternion)]


def _common_fields(hand: Hand, pose: Pose) -> list[Field]:
    """Leading fields of both messages of a hand."""
    return [
        (np.uint8, hand.person),
        (np.uint32, hand.track_id),
        (np.float32, hand.presence),
        (np.uint8, hand.size_source),
        *pose_fields(pose),
    ]


def _placeholders(hands: Hands, header: Header) -> tuple[Hands, Header, float, Poses]:
    """The common arguments of both arrays, with placeholders for all numbers except the sides."""
    people = [_one_hand(_placeholder_hand(hand)) for hand in hands.hands]
    poses = {hand.key: PLACEHOLDER_POSE for person in people for hand in person.hands}
    return ImageHands(people, hands.metric), placeholder_header(header), placeholder(np.float64), poses


def _one_hand(hand: Hand) -> TwoHands:
    right, left = (hand if hand.side is side else None for side in Side)
    return TwoHands(right, left, None, metric=True)


def _placeholder_hand(hand: Hand) -> Hand:
    return replace(
        hand,
        presence=placeholder(np.float32),
        joints=np.full(hand.joints.shape, placeholder(np.float64)),
        vertices=np.full(hand.vertices.shape, placeholder(np.float32)),
        faces=np.full(hand.faces.shape, placeholder(np.uint32)),
        joints_2d=np.full(hand.joints_2d.shape, placeholder(np.float32)),
        joint_std=np.full(hand.joint_std.shape, placeholder(np.float32)),
        size_source=placeholder(np.uint8),
        track_id=placeholder(np.uint32),
        person=placeholder(np.uint8),
    )
