"""Rotations of bones: along the chains of a hand, and from the bones of one hand to those of another.

A hand's 21 joints are OpenPose's. A *turn* is the rotation of a joint to the camera; there are 16, one for each joint
that a bone begins at, in OpenPose's order: the wrist, then three of each finger. Leading axes are any.
"""

from __future__ import annotations

import numpy as np

from lgnet_core.hand_model.asset import NUM_MANO_JOINTS
from lgnet_core.hand_model.layer import MANO_TO_OPENPOSE
from lgnet_core.types import FloatArray

_ORDER = tuple(joint for joint in MANO_TO_OPENPOSE if joint < NUM_MANO_JOINTS)  # MANO's joints, as turns are ordered

_LINKS = 3  # joints of a finger that turn
_IDENTITY = np.eye(3)


def to_camera(rotations: FloatArray) -> FloatArray:
    """A hand model's rotations (..., 16, 3, 3), each relative to its parent, MANO's order, to turns (..., 16, 3, 3)."""
    turns = rotations[..., _ORDER, :, :]
    for link in range(1, _LINKS + 1):
        turns[..., link::_LINKS, :, :] = _parents(turns, link) @ turns[..., link::_LINKS, :, :]
    return turns


def to_parents(turns: FloatArray) -> FloatArray:
    """Inverse of :func:`to_camera`."""
    rotations = np.empty_like(turns)
    rotations[..., 0, :, :] = turns[..., 0, :, :]
    for link in range(1, _LINKS + 1):
        own = turns[..., link::_LINKS, :, :]
        rotations[..., _ORDER[link::_LINKS], :, :] = _parents(turns, link).swapaxes(-1, -2) @ own
    return rotations


def swings(start: FloatArray, goal: FloatArray) -> FloatArray:
    """Rotations that lay the bones of one hand along another's.

    At the wrist, where five bones begin, the best rotation in the least squares (Kabsch 1976); at every other joint its
    parent's, followed by the shortest turn, which does not twist the bone.

    Shapes:
        start, goal: (..., 21, 3) joints; returns (..., 16, 3, 3), in the order of turns.
    """
    turns = np.empty((*start.shape[:-2], NUM_MANO_JOINTS, 3, 3))
    ours, theirs = (joints[..., 1::4, :] - joints[..., :1, :] for joints in (start, goal))
    u, _, vt = np.linalg.svd(theirs.swapaxes(-1, -2) @ ours)
    vt[..., 2, :] *= np.sign(np.linalg.det(u @ vt))[..., None]  # no mirror image
    turns[..., 0, :, :] = u @ vt
    for link in range(1, _LINKS + 1):
        ours, theirs = (joints[..., link + 1 :: 4, :] - joints[..., link:-1:4, :] for joints in (start, goal))
        before = _parents(turns, link)
        turns[..., link::_LINKS, :, :] = shortest_turn((before @ ours[..., None])[..., 0], theirs) @ before
    return turns


def shortest_turn(start: FloatArray, goal: FloatArray) -> FloatArray:
    """The rotation (..., 3, 3) by the least angle that takes the direction of a vector (..., 3) to another's.

    Two half turns, first about ``start``, then about the bisector (any normal where the directions are opposite).
    """
    start = start / (np.linalg.norm(start, axis=-1, keepdims=True) + 1e-12)
    bisector = start + goal / (np.linalg.norm(goal, axis=-1, keepdims=True) + 1e-12)
    length = np.linalg.norm(bisector, axis=-1, keepdims=True)
    if (length < 1e-6).any():
        normal = np.cross(start, _IDENTITY[np.abs(start).argmin(-1)])
        bisector = np.where(length < 1e-6, normal, bisector)
        length = np.linalg.norm(bisector, axis=-1, keepdims=True)
    bisector = bisector / length
    about = [2 * axis[..., :, None] * axis[..., None, :] - _IDENTITY for axis in (bisector, start)]
    return about[0] @ about[1]


def _parents(turns: FloatArray, link: int) -> FloatArray:
    """Turns of the parents of the fingers' joints ``link``, 1 to 3: (..., 5, 3, 3), or the wrist's (..., 1, 3, 3)."""
    return turns[..., :1, :, :] if link == 1 else turns[..., link - 1 : -1 : _LINKS, :, :]
