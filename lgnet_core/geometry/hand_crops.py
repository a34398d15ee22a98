r"""Batched, rotated square crops of single hands, and their canonical frames; shared by inference and training.

A crop is rotated so that the hand points up, and mirrored for a left hand, so every crop shows a right hand. Each crop
has a *canonical frame*: z along the ray through the centre of the crop, y down the crop, x to its right. For a mirrored
crop x points the other way, so the transform is a reflection, and a left hand looks there as a right hand does. Pose
and shape in the canonical frame do not depend on the position of the hand in the image.

Source: the crop rules of MediaPipe Hands (Zhang et al. 2020), palm_detection_detection_to_roi and
hand_landmark_landmarks_to_roi of MediaPipe 0.10.21 (Apache-2.0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from array_api_compat import array_namespace

from lgnet_core.geometry.affine import inverse_2x2
from lgnet_core.geometry.vectors import normalize
from lgnet_core.types import Array, Side

PALM_KEYPOINTS = ("wrist", "index_1", "middle_1", "ring_1", "pinky_1", "thumb_1", "thumb_2")
"""Palm keypoints, in the order of the palm detector."""

PALM_JOINTS = (0, 5, 9, 13, 17, 1, 2)
"""Joint index of each palm keypoint."""

_PALM_WRIST, _PALM_MIDDLE = PALM_KEYPOINTS.index("wrist"), PALM_KEYPOINTS.index("middle_1")
_WRIST, _INDEX, _MIDDLE, _RING = 0, 5, 9, 13
_CENTRAL_JOINTS = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)  # fingertips move too much to centre a crop on


@dataclass(frozen=True)
class CropConfig:
    """Size and position of the crop of a hand. The defaults are MediaPipe's: its networks were trained on such crops.

    Args:
        palm_scale: side of the crop over the longer side of the palm box.
        palm_shift: shift of the crop centre towards the fingers, in longer sides of the palm box.
        joint_scale: side of the crop over the longer side of the upright box around the central joints.
        joint_shift: shift of the crop centre towards the fingers, in heights of that box.
    """

    palm_scale: float = 2.6
    palm_shift: float = 0.5
    joint_scale: float = 2.0
    joint_shift: float = 0.1


MEDIAPIPE_CROPS = CropConfig()


class HandCrops(NamedTuple):
    """Square crops of an image, each around one hand.

    Shapes:
        centre: (N, 2) pixels of the image.
        side: (N,) pixels of the image.
        angle: (N,) radians by which the hand is rotated from upright, clockwise as seen.
        mirrored: (N,) bool: the crop is mirrored, for a left hand.
    """

    centre: Array
    side: Array
    angle: Array
    mirrored: Array

    def select(self, rows: Array) -> HandCrops:
        """A subset of the crops, by index or mask."""
        return HandCrops(*(value[rows] for value in self))

    def mirror_left(self, sides: Array) -> HandCrops:
        """The same crops, mirrored where ``sides`` (N,) is left."""
        return self._replace(mirrored=sides == Side.LEFT)

    def affine(self, size: int) -> Array:
        """(N, 2, 3) affine transforms: pixels of the image -> pixels of the crops of ``size`` x ``size`` pixels."""
        xp = array_namespace(self.side)
        scale = size / self.side
        cos, sin = xp.cos(self.angle) * scale, xp.sin(self.angle) * scale
        flip = 1 - 2 * xp.astype(self.mirrored, cos.dtype)
        linear = _matrix_2x2(flip * cos, flip * sin, -sin, cos)
        shift = (size - 1) / 2 - (linear @ self.centre[..., None])[..., 0]
        return xp.concat([linear, shift[..., None]], axis=-1)

    def canonical_frames(self, intrinsics: Array) -> Array:
        """Orthogonal transforms from camera axes to the canonical frame of each crop.

        Args:
            intrinsics: K of the image, pixels; for a distorted image, of its pinhole approximation at the crop.

        Shapes:
            intrinsics: (3, 3) or (N, 3, 3); returns (N, 3, 3), with determinant -1 where the crop is mirrored.
        """
        xp = array_namespace(self.centre, intrinsics)
        # One pixel down the crop, as a step of the ray: correct for any pixel aspect ratio.
        down = xp.stack([-xp.sin(self.angle), xp.cos(self.angle)], axis=-1)
        pixels = xp.stack([self.centre - intrinsics[..., :2, 2], down], axis=-1)
        rays = inverse_2x2(intrinsics[..., :2, :2]) @ pixels
        third = xp.ones_like(rays[..., :1, 0])
        z = normalize(xp.concat([rays[..., 0], third], axis=-1))
        x = normalize(xp.linalg.cross(xp.concat([rays[..., 1], 0 * third], axis=-1), z))
        y = xp.linalg.cross(z, x)
        return xp.stack([xp.where(self.mirrored[..., None], -x, x), y, z], axis=-2)


def crops_from_palms(boxes: Array, keypoints: Array, config: CropConfig = MEDIAPIPE_CROPS) -> HandCrops:
    """Crops around the hands of detected palms, not mirrored.

    Args:
        boxes: left, top, right, bottom of the palms; keypoints: :data:`PALM_KEYPOINTS`; pixels of the image.

    Shapes:
        boxes: (N, 4); keypoints: (N, 7, 2).
    """
    xp = array_namespace(boxes, keypoints)
    low, high = boxes[..., :2], boxes[..., 2:]
    length = xp.max(high - low, axis=-1)
    angle = _angle_from_up(keypoints[..., _PALM_MIDDLE, :] - keypoints[..., _PALM_WRIST, :])
    up = xp.stack([xp.sin(angle), -xp.cos(angle)], axis=-1)
    centre = (low + high) / 2 + config.palm_shift * length[..., None] * up
    return HandCrops(centre, config.palm_scale * length, angle, xp.zeros_like(length, dtype=xp.bool))


def crops_from_joints(joints: Array, config: CropConfig = MEDIAPIPE_CROPS) -> HandCrops:
    """Crops around hands with known 2D joints, not mirrored.

    Shapes:
        joints: (N, 21, 2) pixels of the image.
    """
    xp = array_namespace(joints)
    knuckles = ((joints[..., _INDEX, :] + joints[..., _RING, :]) / 2 + joints[..., _MIDDLE, :]) / 2
    angle = _angle_from_up(knuckles - joints[..., _WRIST, :])
    cos, sin = xp.cos(angle), xp.sin(angle)
    to_upright = _matrix_2x2(cos, sin, -sin, cos)  # image -> upright axes
    upright = joints[..., list(_CENTRAL_JOINTS), :] @ to_upright.swapaxes(-1, -2)
    low, high = xp.min(upright, axis=-2), xp.max(upright, axis=-2)
    extent = high - low
    middle = (low + high) / 2
    centre = xp.stack([middle[..., 0], middle[..., 1] - config.joint_shift * extent[..., 1]], axis=-1)
    centre = (to_upright.swapaxes(-1, -2) @ centre[..., None])[..., 0]
    side = config.joint_scale * xp.max(extent, axis=-1)
    return HandCrops(centre, side, angle, xp.zeros_like(cos, dtype=xp.bool))


def valid_crops(crops: HandCrops, min_side: float) -> Array:
    """(N,) bool: the crop is finite and its side is at least ``min_side`` pixels of the image."""
    xp = array_namespace(crops.centre)
    numbers = xp.concat([crops.centre, crops.side[..., None], crops.angle[..., None]], axis=-1)
    return xp.all(xp.isfinite(numbers), axis=-1) & (crops.side >= min_side)


def _angle_from_up(direction: Array) -> Array:
    """Angles of directions (..., 2), clockwise from up, radians."""
    return array_namespace(direction).atan2(direction[..., 0], -direction[..., 1])


def _matrix_2x2(a: Array, b: Array, c: Array, d: Array) -> Array:
    """(..., 2, 2) matrices of their entries (...), row by row."""
    xp = array_namespace(a)
    return xp.stack([xp.stack([a, b], axis=-1), xp.stack([c, d], axis=-1)], axis=-2)
