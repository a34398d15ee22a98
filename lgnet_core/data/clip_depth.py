"""Depth maps of the demo clip: what a depth camera would measure of its hands, painted from their true joints."""

from __future__ import annotations

import cv2
import numpy as np

from lgnet_core.data.clip import Clip
from lgnet_core.geometry.camera import project_distorted
from lgnet_core.types import JOINT_PARENTS, WRIST, Camera, FloatArray

WALL = 1.2  # metres: depth behind the hands
FINGER_RADIUS, PALM_RADIUS = 0.009, 0.014  # metres, from the bones to the skin
SPHERES_PER_BONE = 8
CAPS = ((1.0, 0.41), (0.75, 0.80), (0.4, 0.96))
"""Circles that approximate a sphere from outside to inside: radius, and mean height above the centre, in radii."""


def clip_depth(clip: Clip) -> list[FloatArray]:
    """A depth map (H, W) of each frame, float32 metres: spheres along the bones in front of a wall."""
    return [
        hand_depth(joints[presence], clip.camera) for joints, presence in zip(clip.joints, clip.presence, strict=True)
    ]


def hand_depth(joints: FloatArray, camera: Camera) -> FloatArray:
    """Depth map (H, W) of hands with joints (K, 21, 3), metres in the camera frame, painted from far to near."""
    depth = np.full((camera.height, camera.width), WALL, np.float32)
    if not len(joints):
        return depth
    steps = np.linspace(0, 1, SPHERES_PER_BONE, endpoint=False)[:, None]
    ends, starts = joints[:, 1:, None], joints[:, list(JOINT_PARENTS[1:]), None]
    centres = (ends + steps * (starts - ends)).reshape(-1, 3)
    bone_radii = np.where(np.array(JOINT_PARENTS[1:]) == WRIST, PALM_RADIUS, FINGER_RADIUS)
    radii = np.tile(np.repeat(bone_radii, SPHERES_PER_BONE), len(joints))
    pixels = np.rint(project_distorted(centres, camera)).astype(int)
    circles = [
        (z - height * radius, pixel, round(size * radius * camera.matrix[0, 0] / z))
        for z, pixel, radius in zip(centres[:, 2].tolist(), pixels.tolist(), radii.tolist(), strict=True)
        for size, height in CAPS
    ]
    for z, pixel, radius in sorted(circles, reverse=True):
        cv2.circle(depth, pixel, radius, z, cv2.FILLED)
    return depth
