"""Bone, flexion and abduction axes of every joint of the mean hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from .population import HandPopulation
from .rig import CHAINS, INDEX, MIDDLE, PINKY, RING, THUMB, unit

Array = NDArray[np.float64]

# Degrees by which the flexion axis of a finger is rotated about its bone, so that flexed fingers converge towards the
# base of the thumb: the largest values at which adjacent fingers flexed by 90 degrees do not intersect.
CONVERGENCE = {INDEX: -3.0, MIDDLE: 0.0, RING: 1.0, PINKY: 5.0}


def anatomical_frames(population: HandPopulation) -> Array:
    """Rows (bone, flexion axis, abduction axis = bone x flexion) of each joint, (16, 3, 3); identity at the wrist.

    Fingers flex about +z, rotated by `CONVERGENCE`. The thumb flexes about the wide axis of the cross-section of its
    end segment (in the plane of the nail), with the sign that moves its tip towards the little finger.
    """
    vertices, joints = population.vertices.mean(0), population.joints.mean(0)
    frames = np.tile(np.eye(3), (16, 1, 1))
    for chain, tip in zip(CHAINS, population.tips):
        points = np.concatenate([joints[chain : chain + 3], vertices[tip][None]])
        bones = unit(np.diff(points, axis=0))
        if chain == THUMB:
            flexion = _nail_axis(population, bones[2])
        else:
            flexion = Rotation.from_rotvec(bones[0] * np.radians(CONVERGENCE[chain])).apply([0.0, 0.0, 1.0])
        for s, bone in enumerate(bones):
            axis = unit(flexion - bone * (bone @ flexion))
            frames[chain + s] = bone, axis, np.cross(bone, axis)
    return frames


def _nail_axis(population: HandPopulation, bone: Array) -> Array:
    vertices, joints = population.vertices.mean(0), population.joints.mean(0)
    tip = vertices[population.tips[CHAINS.index(THUMB)]]
    end = vertices[population.weights[:, THUMB + 2] > 0.9] - joints[THUMB + 2]
    along = end @ bone
    middle = end[(along > 0.25 * along.max()) & (along < 0.85 * along.max())]
    across = middle - np.outer(middle @ bone, bone)
    across -= across.mean(0)
    axis = np.linalg.eigh(across.T @ across)[1][:, 2]
    towards_pinky = np.cross(axis, tip - joints[THUMB + 2]) @ (joints[PINKY] - tip)
    return axis if towards_pinky > 0 else -axis
