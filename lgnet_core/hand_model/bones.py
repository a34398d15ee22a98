"""Bone rotations: conversion between local and global rotations, and rotations that align the bones of two hands.

The 21 joints of a hand are in OpenPose's order. There are 16 bone rotations, one for each joint that is the start of a
bone, in OpenPose's order: the wrist, then three per finger. *Local* rotations are relative to the parent, *global* ones
to the camera. All functions accept any leading axes.
"""

from __future__ import annotations

import numpy as np

from lgnet_core.hand_model.asset import NUM_MANO_JOINTS
from lgnet_core.hand_model.model import MANO_TO_OPENPOSE
from lgnet_core.types import FloatArray

_MANO_ORDER = tuple(joint for joint in MANO_TO_OPENPOSE if joint < NUM_MANO_JOINTS)
"""MANO joint of each bone rotation."""

_ROTATIONS_PER_FINGER = 3
_IDENTITY = np.eye(3)


def global_rotations(local: FloatArray) -> FloatArray:
    """Local rotations (..., 16, 3, 3) in MANO's order to global rotations (..., 16, 3, 3) in OpenPose's order."""
    rotations = local[..., _MANO_ORDER, :, :]
    for link in range(1, _ROTATIONS_PER_FINGER + 1):
        level = np.s_[..., link::_ROTATIONS_PER_FINGER, :, :]
        rotations[level] = _parents(rotations, link) @ rotations[level]
    return rotations


def local_rotations(rotations: FloatArray) -> FloatArray:
    """Inverse of :func:`global_rotations`."""
    local = np.empty_like(rotations)
    local[..., 0, :, :] = rotations[..., 0, :, :]
    for link in range(1, _ROTATIONS_PER_FINGER + 1):
        own = rotations[..., link::_ROTATIONS_PER_FINGER, :, :]
        local[..., _MANO_ORDER[link::_ROTATIONS_PER_FINGER], :, :] = _parents(rotations, link).swapaxes(-1, -2) @ own
    return local


def align_bones(source: FloatArray, target: FloatArray) -> FloatArray:
    """Rotations that align the bones of one hand with those of another.

    At the wrist, the least-squares rotation of its five bones (Kabsch 1976); at every other joint the rotation of its
    parent followed by the minimal rotation, which does not twist the bone.

    Shapes:
        source, target: (..., 21, 3) joints; returns (..., 16, 3, 3), in the order of the bone rotations.
    """
    rotations = np.empty((*source.shape[:-2], NUM_MANO_JOINTS, 3, 3))
    source_bones, target_bones = (joints[..., 1::4, :] - joints[..., :1, :] for joints in (source, target))
    u, _, vt = np.linalg.svd(target_bones.swapaxes(-1, -2) @ source_bones)
    vt[..., 2, :] *= np.sign(np.linalg.det(u @ vt))[..., None]  # a proper rotation, never a reflection
    rotations[..., 0, :, :] = u @ vt
    for link in range(1, _ROTATIONS_PER_FINGER + 1):
        source_bones, target_bones = (
            joints[..., link + 1 :: 4, :] - joints[..., link:-1:4, :] for joints in (source, target)
        )
        parent = _parents(rotations, link)
        rotated = (parent @ source_bones[..., None])[..., 0]
        rotations[..., link::_ROTATIONS_PER_FINGER, :, :] = minimal_rotation(rotated, target_bones) @ parent
    return rotations


def minimal_rotation(source: FloatArray, target: FloatArray) -> FloatArray:
    """Rotations (..., 3, 3) by the smallest angle from the directions of vectors (..., 3) to those of others.

    Two half turns, about ``source`` and then about the bisector (any normal if the directions are opposite).
    """
    source = source / (np.linalg.norm(source, axis=-1, keepdims=True) + 1e-12)
    bisector = source + target / (np.linalg.norm(target, axis=-1, keepdims=True) + 1e-12)
    length = np.linalg.norm(bisector, axis=-1, keepdims=True)
    if (length < 1e-6).any():
        normal = np.cross(source, _IDENTITY[np.abs(source).argmin(-1)])
        bisector = np.where(length < 1e-6, normal, bisector)
        length = np.linalg.norm(bisector, axis=-1, keepdims=True)
    bisector = bisector / length
    half_turns = [2 * axis[..., :, None] * axis[..., None, :] - _IDENTITY for axis in (bisector, source)]
    return half_turns[0] @ half_turns[1]


def _parents(rotations: FloatArray, link: int) -> FloatArray:
    """Rotations of the parents of the finger joints ``link``, 1 to 3: (..., 5, 3, 3), or the wrist's (..., 1, 3, 3)."""
    return rotations[..., :1, :, :] if link == 1 else rotations[..., link - 1 : -1 : _ROTATIONS_PER_FINGER, :, :]
