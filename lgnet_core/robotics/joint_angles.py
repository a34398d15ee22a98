r"""Anatomical joint angles of a hand, as in a sensor_msgs/JointState, and the rotations that they stand for.

Each of the 15 finger joints has a flexion, an abduction and a twist, in the joint coordinate system of biomechanics
(Grood and Suntay 1983; recommended by the ISB, Wu et al. 2005): flexion about an axis fixed in the proximal segment,
twist about the distal bone, abduction about the floating axis between them,

.. math:: R_j = S \, R(\mathrm{flex}_j a_j) \, R(\mathrm{abd}_j c_j) \, R(\mathrm{twist}_j b_j) \, S

with the axes and signs of :mod:`lgnet_core.hand_model.anatomy` (positive flexion bends towards the palm, positive
abduction moves a finger towards the thumb, on both hands) and S = I for the right hand, diag(-1, 1, 1) for the left
one. ``anatomy.angles_to_rotations`` turns about the abduction axis first, which suits drawing random poses, but is
singular where fingers often are, at 90 degrees of flexion; this order is singular only at 90 degrees of abduction.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from lgnet_core.hand_model.anatomy import JOINT_LIMITS, anatomical_frames
from lgnet_core.hand_model.model import MANO_TO_OPENPOSE
from lgnet_core.types import FINGERS, FloatArray, Side

MOTIONS = ("flexion", "abduction", "twist")

FINGER_JOINTS = {finger: ("cmc", "mcp", "ip") if finger == "thumb" else ("mcp", "pip", "dip") for finger in FINGERS}
"""Anatomical names of the three joints of each finger, from the palm to the tip."""

NUM_JOINTS = 15

MANO_JOINTS = tuple(MANO_TO_OPENPOSE[1 + 4 * finger + link] for finger in range(5) for link in range(3))
"""Joint of MANO that each of the 15 finger joints is: thumb to little finger, from the palm to the tip."""

LIMITS: FloatArray = JOINT_LIMITS[list(MANO_JOINTS)]
"""(15, 3, 2) range of motion of each angle, radians. Estimated angles may exceed it."""


MIRROR: FloatArray = np.array([[1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]])
"""By side, the diagonal of S: factors on the coordinates of the right hand's rest frame."""


@cache
def joint_names(side: Side) -> tuple[str, ...]:
    """The 45 names ``<side>_<finger>_<joint>_<motion>``, in the order of :meth:`JointAngles.from_rotations`."""
    joints = [f"{side.label}_{finger}_{joint}" for finger, joints in FINGER_JOINTS.items() for joint in joints]
    return tuple(f"{joint}_{motion}" for joint in joints for motion in MOTIONS)


class JointAngles:
    """Conversion between joint rotations and angles.

    Attributes:
        axes: (15, 3, 3) float64; rows (flexion, abduction, twist axis) of each joint in the rest frame of the right
            hand, a left-handed triple: flexion x abduction = -twist axis.
    """

    def __init__(self) -> None:
        bone, flexion, abduction = np.moveaxis(anatomical_frames()[list(MANO_JOINTS)].astype(np.float64), 1, 0)
        self._frames = np.stack([bone, flexion, abduction], 1)
        self.axes: FloatArray = np.stack([flexion, abduction, bone], 1)

    def from_rotations(self, rotations: FloatArray, side: Side) -> FloatArray:
        """Angles in radians; abduction is within a quarter turn, the others within half a turn.

        Shapes:
            rotations: (..., 16, 3, 3) local rotations in MANO's order, as :attr:`lgnet_core.types.Hand.rotations`;
            returns (..., 15, 3).
        """
        local = np.asarray(rotations, np.float64)[..., MANO_JOINTS, :, :] * _mirror_signs(side)
        # In the joint's frame (bone, flexion axis, abduction axis) = (x, y, z): Ry(flexion) Rz(abduction) Rx(twist).
        m = self._frames @ local @ self._frames.swapaxes(-1, -2)
        flexion = np.arctan2(-m[..., 2, 0], m[..., 0, 0])
        abduction = np.arcsin(np.clip(m[..., 1, 0], -1, 1))
        twist = np.arctan2(-m[..., 1, 2], m[..., 1, 1])
        return np.stack([flexion, abduction, twist], -1)

    def to_rotations(self, angles: FloatArray, side: Side) -> FloatArray:
        """Inverse of :meth:`from_rotations`, with the identity at the wrist.

        Shapes:
            angles: (..., 15, 3) radians; returns (..., 16, 3, 3).
        """
        (sf, sa, st), (cf, ca, ct) = (np.moveaxis(f(angles), -1, 0) for f in (np.sin, np.cos))
        rows = [
            [cf * ca, sf * st - cf * sa * ct, sf * ct + cf * sa * st],
            [sa, ca * ct, -ca * st],
            [-sf * ca, cf * st + sf * sa * ct, cf * ct - sf * sa * st],
        ]
        m = np.moveaxis(np.array(rows), (0, 1), (-2, -1))
        rotations = np.broadcast_to(np.eye(3), (*m.shape[:-3], 16, 3, 3)).copy()
        rotations[..., MANO_JOINTS, :, :] = self._frames.swapaxes(-1, -2) @ m @ self._frames * _mirror_signs(side)
        return rotations


def _mirror_signs(side: Side) -> FloatArray:
    """(3, 3) signs by which mirroring, S R S, multiplies a rotation of the left hand; ones for the right hand."""
    return MIRROR[side][:, None] * MIRROR[side]
