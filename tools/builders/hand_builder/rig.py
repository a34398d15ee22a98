"""Conversion of MakeHuman's 22 arm bones to MANO's 16 joints: joint positions, hand frame and skinning weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .anny_source import RawHand

Array = NDArray[np.float64]

FINGERS = (2, 3, 5, 4, 1)  # MakeHuman's finger numbers in MANO's order: index, middle, pinky, ring, thumb
WRIST, INDEX, MIDDLE, PINKY, RING, THUMB = 0, 1, 4, 7, 10, 13  # first joint of each chain
CHAINS = (INDEX, MIDDLE, PINKY, RING, THUMB)

# MakeHuman's finger bones start about 9 % beyond the knuckle, and the base of the thumb is too close to the skin.
KNUCKLE_TOWARDS_WRIST = 0.085
THUMB_BASE_TOWARDS_WRIST = 0.07
THUMB_KNUCKLE_TOWARDS_TIP = 0.14
KNUCKLE_BLEND = 0.010  # metres on each side of the knuckle over which weights blend from palm to finger


def smoothstep(x: Array, low: float, high: float) -> Array:
    """0 below `low`, 1 above `high`, cubic in between."""
    x = np.clip((x - low) / (high - low), 0, 1)
    return x * x * (3 - 2 * x)


def unit(v: Array) -> Array:
    """v / |v| along the last axis."""
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def mano_joints(raw: RawHand) -> Array:
    """MANO's 16 joints of every sample, (N, 16, 3), in the body frame."""
    column = {name: k for k, name in enumerate(raw.bones)}
    heads = raw.bone_heads
    wrist = heads[:, column["wrist"]]
    joints = np.zeros((len(heads), 16, 3))
    joints[:, WRIST] = wrist
    for chain, finger in zip(CHAINS, FINGERS):
        for s in range(3):
            joints[:, chain + s] = heads[:, column[f"finger{finger}-{s + 1}"]]
        if chain != THUMB:
            joints[:, chain] += KNUCKLE_TOWARDS_WRIST * (wrist - joints[:, chain])
    joints[:, THUMB + 1] += THUMB_KNUCKLE_TOWARDS_TIP * (joints[:, THUMB + 2] - joints[:, THUMB + 1])
    joints[:, THUMB] += THUMB_BASE_TOWARDS_WRIST * (wrist - joints[:, THUMB])
    return joints


def hand_frame(joints: Array) -> Array:
    """Rotations (N, 3, 3) into the rest frame: fingers along -x, back of the hand +y, thumb side +z."""
    forward = unit(joints[:, MIDDLE] - joints[:, WRIST])
    across = joints[:, INDEX] - joints[:, PINKY]
    thumb_side = unit(across - forward * (across * forward).sum(-1, keepdims=True))
    return np.stack([-forward, np.cross(forward, thumb_side), thumb_side], axis=1)


def mano_weights(raw: RawHand, vertices: Array, joints: Array) -> Array:
    """Skinning weights (V, 16), with the palm-to-finger blend re-centred on the corrected knuckles.

    Args:
        vertices: (V, 3) and joints: (16, 3), the mean hand in one frame.
    """
    column = {name: k for k, name in enumerate(raw.bones)}
    weights = np.zeros((len(vertices), 16))
    ray = np.zeros((len(vertices), 4))  # finger and metacarpal
    for f, (chain, finger) in enumerate(zip(CHAINS, FINGERS)):
        for s in range(3):
            weights[:, chain + s] = raw.weights[:, column[f"finger{finger}-{s + 1}"]]
        if chain != THUMB:
            metacarpal = raw.weights[:, column[f"metacarpal{finger - 1}"]]
            ray[:, f] = weights[:, chain : chain + 3].sum(1) + metacarpal
    membership = ray / np.maximum(ray.sum(1, keepdims=True), 1e-9) * np.clip(1.6 * ray.sum(1, keepdims=True), 0, 1)
    for f, chain in enumerate(CHAINS[:4]):
        axis = unit(unit(joints[chain + 1] - joints[chain]) + unit(joints[chain] - joints[WRIST]))
        blend = smoothstep((vertices - joints[chain]) @ axis, -KNUCKLE_BLEND, KNUCKLE_BLEND)
        finger_weight = weights[:, chain : chain + 3].sum(1)
        weights[:, chain] += np.maximum(finger_weight, membership[:, f] * blend) - finger_weight
    total = weights.sum(1, keepdims=True)
    weights /= np.maximum(total, 1)
    weights[:, WRIST] = 1 - weights.sum(1)
    return weights


def fingertips(vertices: Array, joints: Array, weights: Array) -> list[int]:
    """Outermost vertex of each chain along its last bone, in the order of `CHAINS`."""
    tips = []
    for chain in CHAINS:
        own = np.flatnonzero(weights[:, chain + 2] > 0.9)
        last_bone = joints[chain + 2] - joints[chain + 1]
        tips.append(int(own[np.argmax((vertices[own] - joints[chain + 2]) @ last_bone)]))
    return tips
