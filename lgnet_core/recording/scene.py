"""The hands of an image as 3D viewers show them: in one frame, with the poses of their frames and their relation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lgnet_core.geometry.hand_frame import HandFrames, Pose
from lgnet_core.geometry.inter_hand import InterHand, inter_hand
from lgnet_core.types import JOINT_PARENTS, Hand, HandKey, Side, TwoHands
from lgnet_core.visualization.drawing import hand_offsets

WORLD, CAMERA, WRIST = "world", "camera", "wrist"
"""Frames: x forward and z up as REP-103 has it; the camera's optical frame; the right wrist's (or only hand's), with
the axes of the camera."""

CAMERA_AXES = Pose(np.zeros(3), np.array([-0.5, 0.5, -0.5, 0.5]))
"""``T_world_camera``: the camera looks along x of the world."""

BONES = tuple((parent, joint) for joint, parent in enumerate(JOINT_PARENTS) if parent >= 0)
"""Pairs of joints that the skeleton connects."""


@dataclass(frozen=True, eq=False)
class Scene:
    """The hands of an image in one frame.

    Args:
        frame_id: :data:`CAMERA`, or :data:`WRIST` if the camera is not known.
        hands: right before left; joints and vertices in that frame.
        poses: of the hands' frames in that frame.
        relation: of the two hands; None unless both were detected.
    """

    frame_id: str
    hands: list[Hand]
    poses: dict[HandKey, Pose]
    relation: InterHand | None


def in_one_frame(hands: TwoHands) -> TwoHands:
    """The hands with joints and vertices in the camera frame or, without a camera, in that of the right wrist."""
    moved = {
        hand.side: replace(hand, joints=hand.joints + offset, vertices=hand.vertices + offset)
        for hand, offset in hand_offsets(hands)
    }
    return replace(hands, right=moved.get(Side.RIGHT), left=moved.get(Side.LEFT))


def make_scene(hands: TwoHands, frames: HandFrames) -> Scene:
    """The scene of an image; ``frames`` are those of the hand model."""
    placed = in_one_frame(hands)
    poses = frames.poses(placed.hands)
    relation = inter_hand(replace(placed, metric=True), poses)  # it also holds in the frame of a wrist
    return Scene(CAMERA if hands.metric else WRIST, placed.hands, poses, relation)
