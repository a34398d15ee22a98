"""Hands from the messages of the node."""

from __future__ import annotations

import numpy as np

from lgnet_core.types import Hand, Side, TwoHands
from lgnet_ros.msg import HandJointsArray, HandMeshArray


def to_two_hands(joints: HandJointsArray, meshes: HandMeshArray) -> TwoHands:
    """Convert two messages of one image to hands; rotations and shape, which no message contains, are neutral."""
    hands = {}
    for j, m in zip(joints.hands, meshes.hands, strict=True):
        hands[Side(m.side)] = Hand(
            side=Side(m.side),
            presence=m.presence,
            joints=np.array([(p.x, p.y, p.z) for p in j.joints]),
            vertices=np.asarray(m.vertices, np.float64).reshape(-1, 3),
            faces=np.asarray(m.triangles, np.int64).reshape(-1, 3),
            joints_2d=np.asarray(j.joints_2d, np.float64).reshape(-1, 2),
            joint_std=np.asarray(j.joint_std, np.float64),
            rotations=np.broadcast_to(np.eye(3), (16, 3, 3)),
            shape=np.zeros(10),
            track_id=m.track_id,
        )
    return TwoHands(hands.get(Side.RIGHT), hands.get(Side.LEFT), None, metric=True)
