r"""Hands as OpenXR's hand tracking describes them (XR_EXT_hand_tracking): 26 joints with orientations and radii.

Conventions of the specification, section "Conventions of hand joints": the backward (+z) direction is parallel to the
bone that starts at the joint and points away from the fingertip; up (+y) points out of the back of the finger or hand;
x = y x z. A fingertip has the orientation of its last bone. The palm is the centre of the middle metacarpal.

Poses are in the frame of the hand, the camera's optical frame; :meth:`HandJoints.in_view_space` converts them to the
axes of OpenXR's view space (x right, y up, z backward).

The hand model has no bases of the metacarpals of the four fingers. They are interpolated from its wrist joint W and
knuckles K, which are weighted means of vertices: with M the mean of the four knuckles,

.. math:: B_f = W + \alpha (M - W) + \beta (K_f - M), \qquad \alpha = 0.3

where beta is the width of the rest mesh at the wrist relative to that at the knuckles (0.66 for the bundled hand), so
that the bases are as far from the sides of the wrist as the knuckles are from those of the hand. The fraction alpha is
an assumption, about the length of the carpus.

The radius is the mean distance of the joint to the vertices that are nearest to it in the rest pose.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lgnet_core.geometry.hand_frame import HandFrames, quaternion_from_matrix
from lgnet_core.hand_model import HandModel
from lgnet_core.hand_model.anatomy import anatomical_frames
from lgnet_core.hand_model.bones import global_rotations
from lgnet_core.hand_model.model import MANO_TO_OPENPOSE
from lgnet_core.robotics.joint_angles import MIRROR
from lgnet_core.types import FINGERS, WRIST, FloatArray, Hand, Side

_PHALANGES = ("METACARPAL", "PROXIMAL", "INTERMEDIATE", "DISTAL", "TIP")
JOINT_NAMES = (
    "PALM",
    "WRIST",
    *(f"THUMB_{bone}" for bone in _PHALANGES if bone != "INTERMEDIATE"),
    *(f"{finger}_{bone}" for finger in ("INDEX", "MIDDLE", "RING", "LITTLE") for bone in _PHALANGES),
)
"""The 26 joints in the order of XrHandJointEXT."""

NUM_JOINTS = len(JOINT_NAMES)
PALM, MIDDLE_METACARPAL = 0, JOINT_NAMES.index("MIDDLE_METACARPAL")
METACARPALS = tuple(JOINT_NAMES.index(f"{finger}_METACARPAL") for finger in ("INDEX", "MIDDLE", "RING", "LITTLE"))

OPENPOSE_JOINTS = tuple(j for j in range(NUM_JOINTS) if j != PALM and j not in METACARPALS)
"""The OpenXR joints that are OpenPose's 21 joints, in the order of the latter."""

CARPUS = 0.3
"""Fraction of the way from the wrist to the knuckles at which the metacarpals begin."""

_KNUCKLES = [5, 9, 13, 17]
_SECTION = 0.008  # metres: half the thickness of the slices in which widths are measured
_NEAREST = 12  # vertices that a radius is averaged over


class HandJoints(NamedTuple):
    """The joints of one hand, metres, as the inputs of a device that speaks OpenXR.

    Shapes:
        positions: (26, 3); orientations: (26, 4) unit quaternions (x, y, z, w); radii: (26,); valid: (26,) bool.
    """

    positions: FloatArray
    orientations: FloatArray
    radii: FloatArray
    valid: FloatArray

    @classmethod
    def invalid(cls) -> HandJoints:
        """A hand that is not detected: identity poses, none of them valid."""
        orientations = np.tile([0.0, 0.0, 0.0, 1.0], (NUM_JOINTS, 1))
        return cls(np.zeros((NUM_JOINTS, 3)), orientations, np.zeros(NUM_JOINTS), np.zeros(NUM_JOINTS, bool))

    def in_view_space(self) -> HandJoints:
        """From the camera's optical frame to the axes of OpenXR's view space: half a turn about x."""
        x, y, z, w = self.orientations.T
        turned = np.where(self.valid[:, None], np.stack([w, -z, y, -x], -1), self.orientations)
        return self._replace(positions=self.positions * [1, -1, -1], orientations=turned)


class OpenXRConverter:
    """Converts estimated hands.

    Args:
        hand_model: the model that the hands were estimated with.
    """

    def __init__(self, hand_model: HandModel) -> None:
        self._axes = HandFrames(hand_model).axes
        frames = anatomical_frames().astype(np.float64)
        self._bone_joints = [joint for joint in MANO_TO_OPENPOSE[1:] if joint < len(frames)]  # 3 per finger
        self._backs = frames[self._bone_joints, 2]  # of the right hand: the abduction axis points out of the back
        self._spread, self._skin = [], []
        for side in Side:
            vertices = np.asarray(hand_model.v_template[side], np.float64)
            joints = np.asarray(hand_model.joints_from_vertices(hand_model.v_template[side], side), np.float64)
            not_thumb = ~np.isin(np.asarray(hand_model.weights[side]).argmax(-1), [13, 14, 15])
            surface = (vertices - joints[WRIST]) @ self._axes[side]
            knuckles = ((joints - joints[WRIST]) @ self._axes[side])[_KNUCKLES, 0].mean()
            wrist_width, hand_width = (
                np.ptp(surface[not_thumb & (np.abs(surface[:, 0] - x) < _SECTION), 1]) for x in (0.0, knuckles)
            )
            self._spread.append(wrist_width / hand_width)
            distances = np.linalg.norm(self._positions(joints, side)[:, None] - vertices, axis=-1)
            self._skin.append(distances.argsort(1)[:, :_NEAREST])

    def __call__(self, hand: Hand | None) -> HandJoints:
        """The joints of a hand; None gives :meth:`HandJoints.invalid`."""
        if hand is None:
            return HandJoints.invalid()
        positions = self._positions(hand.joints, hand.side)
        rotations = global_rotations(np.asarray(hand.rotations, np.float64))
        backs = (rotations[1:] @ (self._backs * MIRROR[hand.side])[..., None])[..., 0]  # (15, 3)
        hand_back = -(rotations[0] @ self._axes[hand.side])[:, 2]

        along, up = np.empty((NUM_JOINTS, 3)), np.empty((NUM_JOINTS, 3))
        first = JOINT_NAMES.index("THUMB_METACARPAL")
        for finger in range(len(FINGERS)):
            bones = 3 if finger == 0 else 4
            own = slice(first, first + bones + 1)
            directions = np.diff(positions[own], axis=0)
            along[own] = np.concatenate([directions, directions[-1:]])
            finger_backs = backs[3 * finger : 3 * finger + 3]
            metacarpal = [] if finger == 0 else [hand_back]
            up[own] = np.stack([*metacarpal, *finger_backs, finger_backs[-1]])
            first = own.stop
        along[WRIST_JOINT] = positions[MIDDLE_METACARPAL] - positions[WRIST_JOINT]
        along[PALM] = along[MIDDLE_METACARPAL]
        up[[PALM, WRIST_JOINT]] = hand_back
        radii = np.linalg.norm(hand.vertices[self._skin[hand.side]] - positions[:, None], axis=-1).mean(-1)
        return HandJoints(positions, _orientations(along, up), radii, np.ones(NUM_JOINTS, bool))

    def _positions(self, joints: FloatArray, side: Side) -> FloatArray:
        """Positions (26, 3) of the 21 joints (21, 3) and those interpolated between them."""
        positions = np.empty((NUM_JOINTS, 3))
        positions[list(OPENPOSE_JOINTS)] = joints
        knuckles = joints[_KNUCKLES]
        centre = knuckles.mean(0)
        begin = joints[WRIST] + CARPUS * (centre - joints[WRIST])
        positions[list(METACARPALS)] = begin + self._spread[side] * (knuckles - centre)
        positions[PALM] = (positions[MIDDLE_METACARPAL] + positions[MIDDLE_METACARPAL + 1]) / 2
        return positions


WRIST_JOINT = JOINT_NAMES.index("WRIST")


def _orientations(along: FloatArray, up: FloatArray) -> FloatArray:
    """Quaternions (N, 4) of frames with -z along ``along`` (N, 3) and y in the half plane of ``up`` (N, 3)."""
    z = -along / np.linalg.norm(along, axis=-1, keepdims=True)
    x = np.cross(up, z)
    x /= np.linalg.norm(x, axis=-1, keepdims=True)
    return np.stack([quaternion_from_matrix(m) for m in np.stack([x, np.cross(z, x), z], -1)])
