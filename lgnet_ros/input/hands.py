"""Hands from the messages of the node."""

from __future__ import annotations

import numpy as np

from lgnet_core.types import Hand, ImageHands, Side, SizeSource, TwoHands
from lgnet_ros.msg import HandJointsArray, HandMeshArray


def to_image_hands(joints: HandJointsArray, meshes: HandMeshArray) -> ImageHands:
    """Convert two messages of one image to hands; rotations and shape, which no message contains, are neutral.

    Raises:
        ValueError: the messages have different hands.
    """
    if [(hand.person, hand.side) for hand in joints.hands] != [(hand.person, hand.side) for hand in meshes.hands]:
        raise ValueError("hands/mesh and hands/joints of one stamp have different hands")
    people: dict[int, dict[Side, Hand]] = {}
    for j, m in zip(joints.hands, meshes.hands, strict=True):
        people.setdefault(m.person, {})[Side(m.side)] = Hand(
            side=Side(m.side),
            presence=m.presence,
            joints=np.array([(p.x, p.y, p.z) for p in j.joints]),
            vertices=np.asarray(m.vertices, np.float64).reshape(-1, 3),
            faces=np.asarray(m.triangles, np.int64).reshape(-1, 3),
            joints_2d=np.asarray(j.joints_2d, np.float64).reshape(-1, 2),
            joint_std=np.asarray(j.joint_std, np.float64),
            rotations=np.broadcast_to(np.eye(3), (16, 3, 3)),
            shape=np.zeros(10),
            size_source=SizeSource(m.size_source),
            track_id=m.track_id,
            person=m.person,
        )
    pairs = [people[person] for person in sorted(people)]
    return ImageHands([TwoHands(pair.get(Side.RIGHT), pair.get(Side.LEFT), None, metric=True) for pair in pairs], True)
