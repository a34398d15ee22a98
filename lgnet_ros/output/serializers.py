"""Hands to the bytes of the messages of :mod:`lgnet_ros.output.messages`, each with the numbers of one image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from std_msgs.msg import Header

from lgnet_core.geometry.hand_frame import Pose
from lgnet_core.geometry.inter_hand import InterHand
from lgnet_core.types import Hand, Side, TwoHands
from lgnet_ros.output.messages import Poses, require_metric, to_inter_hand, to_joints_array, to_mesh_array
from lgnet_ros.output.template import Numbers, Templates, mark, marked_header, stamp_numbers

MARKED_POSE = Pose(np.full(3, mark(np.float64)), np.full(4, mark(np.float64)))
"""Of a template."""


class HandsWriter:
    """Writes ``hands/joints`` and ``hands/mesh``."""

    def __init__(self) -> None:
        self._joints, self._mesh = Templates(), Templates()

    def joints(self, hands: TwoHands, header: Header, poses: Poses) -> bytes:
        """:func:`lgnet_ros.output.messages.to_joints_array` of the same, serialised. Raises: see
        :func:`require_metric`."""
        require_metric(hands)
        numbers = stamp_numbers(header)
        for hand in hands.hands:
            numbers += _identity(hand, poses[hand.side])
            numbers += [(np.float64, hand.joints), (np.float32, hand.joint_std), (np.float32, hand.joints_2d)]
        key = (header.frame_id, tuple(hand.side for hand in hands.hands))
        return self._joints.write(key, numbers, lambda: to_joints_array(*_marked(hands, header)))

    def mesh(self, hands: TwoHands, header: Header, poses: Poses) -> bytes:
        """:func:`lgnet_ros.output.messages.to_mesh_array` of the same, serialised. Raises: see
        :func:`require_metric`."""
        require_metric(hands)
        numbers = stamp_numbers(header)
        for hand in hands.hands:
            numbers += _identity(hand, poses[hand.side])
            numbers += [(np.float32, hand.vertices), (np.uint32, hand.faces)]
        key = (header.frame_id, tuple((hand.side, len(hand.vertices), len(hand.faces)) for hand in hands.hands))
        return self._mesh.write(key, numbers, lambda: to_mesh_array(*_marked(hands, header)))


class InterHandWriter:
    """Writes ``hands/inter_hand``; ``prefix`` is the parameter ``frame_prefix``."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._templates = Templates()

    def write(self, relation: InterHand, header: Header) -> bytes:
        """:func:`lgnet_ros.output.messages.to_inter_hand` of the same, serialised."""
        numbers: list[Numbers] = [
            *stamp_numbers(header),
            *pose_numbers(relation.pose),
            (np.float32, relation.distance),
            (np.float64, relation.closest_right),
            (np.float64, relation.closest_left),
            (np.float32, relation.confidence),
        ]
        return self._templates.write(header.frame_id, numbers, lambda: self._marked(header))

    def _marked(self, header: Header) -> object:
        number, place = mark(np.float32), MARKED_POSE.position
        return to_inter_hand(InterHand(MARKED_POSE, number, place, place, number), marked_header(header), self._prefix)


def pose_numbers(pose: Pose) -> list[Numbers]:
    """Of a pose or a transform."""
    return [(np.float64, pose.position), (np.float64, pose.quaternion)]


def _identity(hand: Hand, pose: Pose) -> list[Numbers]:
    """What both messages of a hand begin with."""
    return [(np.uint32, hand.track_id), (np.float32, hand.presence), *pose_numbers(pose)]


def _marked(hands: TwoHands, header: Header) -> tuple[TwoHands, Header, Poses]:
    """Marks in place of all numbers but the sides."""
    right, left = (hand if hand is None else _marked_hand(hand) for hand in (hands.right, hands.left))
    return replace(hands, right=right, left=left), marked_header(header), dict.fromkeys(Side, MARKED_POSE)


def _marked_hand(hand: Hand) -> Hand:
    return replace(
        hand,
        presence=mark(np.float32),
        joints=np.full(hand.joints.shape, mark(np.float64)),
        vertices=np.full(hand.vertices.shape, mark(np.float32)),
        faces=np.full(hand.faces.shape, mark(np.uint32)),
        joints_2d=np.full(hand.joints_2d.shape, mark(np.float32)),
        joint_std=np.full(hand.joint_std.shape, mark(np.float32)),
        track_id=mark(np.uint32),
    )
