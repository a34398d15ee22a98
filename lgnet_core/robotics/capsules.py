"""Capsules along the bones of an estimated hand, which enclose its mesh: the usual collision model of a hand.

A capsule is the set of points within a radius of a line segment.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lgnet_core.geometry.hand_frame import Pose
from lgnet_core.hand_model import HandModel
from lgnet_core.types import FINGERS, JOINT_NAMES, FloatArray, Side

PALM_SEGMENTS = ((0, 1), (0, 5), (0, 9), (0, 13), (0, 17), (1, 5))
FINGER_SEGMENTS = tuple(
    (1 + 4 * finger + link, 2 + 4 * finger + link) for finger in range(len(FINGERS)) for link in range(3)
)
SEGMENTS: tuple[tuple[int, int], ...] = (*PALM_SEGMENTS, *FINGER_SEGMENTS)
"""End joints (OpenPose's order) of each capsule: palm, then the bones of the fingers, thumb to little finger."""

SEGMENT_BONES = (
    *(0 for _ in PALM_SEGMENTS),
    *(joint for first in (13, 1, 4, 10, 7) for joint in range(first, first + 3)),
)
"""Joint of MANO with which each capsule moves."""

TIP_RECESS = 0.3
"""Fraction of the end bone of a finger: its capsule ends about one radius before the fingertip."""

CAPSULE_NAMES = tuple(f"{JOINT_NAMES[start]}_{JOINT_NAMES[end]}" for start, end in SEGMENTS)


class Capsules(NamedTuple):
    """The capsules of one hand, in the order of :data:`SEGMENTS`; metres, in the frame of the vertices.

    Shapes:
        start, end: (21, 3); radii: (21,).
    """

    start: FloatArray
    end: FloatArray
    radii: FloatArray

    def transformed(self, pose: Pose) -> Capsules:
        """The capsules in the frame in which the pose of their frame is given."""
        rotation = pose.rotation
        start, end = (points @ rotation.T + pose.position for points in (self.start, self.end))
        return Capsules(start, end, self.radii)

    @property
    def lengths(self) -> FloatArray:
        """(21,) of the segments."""
        return np.linalg.norm(self.end - self.start, axis=-1)

    @property
    def quaternions(self) -> FloatArray:
        """(21, 4) unit quaternions (x, y, z, w) that turn the z axis into the direction from start to end."""
        x, y, z = ((self.end - self.start) / self.lengths[:, None]).T
        half = np.stack([-y, x, np.zeros_like(x), 1 + z], -1)
        half[z < -1 + 1e-9] = [1, 0, 0, 0]
        return half / np.linalg.norm(half, axis=-1, keepdims=True)


class HandCapsules:
    """Fits capsules to meshes of a hand model.

    Each vertex belongs to the nearest segment, in the rest pose, of those that move with its bone. A capsule is centred
    among its vertices, and its radius is their largest distance, so that the capsules enclose every vertex in every
    pose.

    Args:
        hand_model: the model of the meshes.
    """

    def __init__(self, hand_model: HandModel) -> None:
        regressor = np.asarray(hand_model.J_regressor, np.float64)
        tips = np.eye(regressor.shape[-1])[np.asarray(hand_model.tip_vertices)]
        order = np.asarray(hand_model.mano_to_openpose)
        self._regressors = [np.concatenate([joints, tips])[order] for joints in regressor]
        bones = np.asarray(hand_model.weights).argmax(-1)
        self._owners, self._orders, self._firsts = [], [], []
        for side in Side:
            vertices = np.asarray(hand_model.v_template[side], np.float64)
            start, end = self._segments(vertices, side)
            distances = _distances(vertices[:, None], start, end)  # (V, C)
            distances[bones[side][:, None] != np.array(SEGMENT_BONES)] = np.inf
            owner = distances.argmin(1)
            order = owner.argsort(kind="stable")
            self._owners.append(owner[order])
            self._orders.append(order)
            self._firsts.append(np.searchsorted(owner[order], np.arange(len(SEGMENTS))))

    def __call__(self, vertices: FloatArray, side: Side) -> Capsules:
        """Capsules of a mesh (778, 3) in metres."""
        vertices = np.asarray(vertices, np.float64)
        start, end = self._segments(vertices, side)
        owner, first = self._owners[side], self._firsts[side]
        grouped = vertices[self._orders[side]]
        out, _ = _perpendicular(grouped, start[owner], end[owner])
        shift = np.add.reduceat(out, first) / np.bincount(owner)[:, None]
        start, end = start + shift, end + shift
        return Capsules(start, end, np.maximum.reduceat(_distances(grouped, start[owner], end[owner]), first))

    def joints(self, vertices: FloatArray, side: Side) -> FloatArray:
        """Joints (21, 3) of a mesh (778, 3), OpenPose's order."""
        return self._regressors[side] @ vertices

    def _segments(self, vertices: FloatArray, side: Side) -> tuple[FloatArray, FloatArray]:
        joints = self.joints(vertices, side)
        start, end = (joints[list(ends)] for ends in zip(*SEGMENTS))
        tips = slice(len(PALM_SEGMENTS) + 2, None, 3)
        end[tips] += TIP_RECESS * (start[tips] - end[tips])
        return start, end


def _distances(points: FloatArray, start: FloatArray, end: FloatArray) -> FloatArray:
    """Distances (...,) of points (..., 3) to segments (..., 3)."""
    out, overshoot = _perpendicular(points, start, end)
    return np.sqrt((out**2).sum(-1) + overshoot**2)


def _perpendicular(points: FloatArray, start: FloatArray, end: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Vectors (..., 3) from the lines through segments to points, and how far (...,) these are beyond the ends."""
    length = np.linalg.norm(end - start, axis=-1)
    along = (end - start) / length[..., None]
    position = ((points - start) * along).sum(-1)
    return points - start - position[..., None] * along, np.maximum(np.maximum(-position, position - length), 0)
