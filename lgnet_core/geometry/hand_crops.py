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

import torch
import torch.nn.functional as F
from torch import Tensor

from lgnet_core.geometry.affine import inverse_2x2
from lgnet_core.types import Side

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

    centre: Tensor
    side: Tensor
    angle: Tensor
    mirrored: Tensor

    def select(self, rows: Tensor) -> HandCrops:
        """A subset of the crops, by index or mask."""
        return HandCrops(*(value[rows] for value in self))

    def mirror_left(self, sides: Tensor) -> HandCrops:
        """The same crops, mirrored where ``sides`` (N,) is left."""
        return self._replace(mirrored=sides == Side.LEFT)

    def affine(self, size: int) -> Tensor:
        """(N, 2, 3) affine transforms: pixels of the image -> pixels of the crops of ``size`` x ``size`` pixels."""
        scale = size / self.side
        cos, sin = torch.cos(self.angle) * scale, torch.sin(self.angle) * scale
        flip = torch.where(self.mirrored, -1.0, 1.0).to(cos.dtype)
        linear = torch.stack([flip * cos, flip * sin, -sin, cos], -1).unflatten(-1, (2, 2))
        shift = (size - 1) / 2 - (linear @ self.centre[..., None])[..., 0]
        return torch.cat([linear, shift[..., None]], -1)

    def canonical_frames(self, intrinsics: Tensor) -> Tensor:
        """Orthogonal transforms from camera axes to the canonical frame of each crop.

        Args:
            intrinsics: K of the image, pixels; for a distorted image, of its pinhole approximation at the crop.

        Shapes:
            intrinsics: (3, 3) or (N, 3, 3); returns (N, 3, 3), with determinant -1 where the crop is mirrored.
        """
        # One pixel down the crop, as a step of the ray: correct for any pixel aspect ratio.
        down = torch.stack([-torch.sin(self.angle), torch.cos(self.angle)], -1)
        pixels = torch.stack([self.centre - intrinsics[..., :2, 2], down], -1)
        ray, step = (inverse_2x2(intrinsics[..., :2, :2]) @ pixels).unbind(-1)
        z = F.normalize(F.pad(ray, (0, 1), value=1.0), dim=-1)
        x = F.normalize(torch.linalg.cross(F.pad(step, (0, 1)), z), dim=-1)
        y = torch.linalg.cross(z, x)
        return torch.stack([torch.where(self.mirrored[..., None], -x, x), y, z], -2)


def crops_from_palms(boxes: Tensor, keypoints: Tensor, config: CropConfig = MEDIAPIPE_CROPS) -> HandCrops:
    """Crops around the hands of detected palms, not mirrored.

    Args:
        boxes: left, top, right, bottom of the palms; keypoints: :data:`PALM_KEYPOINTS`; pixels of the image.

    Shapes:
        boxes: (N, 4); keypoints: (N, 7, 2).
    """
    low, high = boxes[..., :2], boxes[..., 2:]
    length = (high - low).amax(-1)
    angle = _angle_from_up(keypoints[..., _PALM_MIDDLE, :] - keypoints[..., _PALM_WRIST, :])
    up = torch.stack([torch.sin(angle), -torch.cos(angle)], -1)
    centre = (low + high) / 2 + config.palm_shift * length[..., None] * up
    return HandCrops(centre, config.palm_scale * length, angle, torch.zeros_like(length, dtype=torch.bool))


def crops_from_joints(joints: Tensor, config: CropConfig = MEDIAPIPE_CROPS) -> HandCrops:
    """Crops around hands with known 2D joints, not mirrored.

    Shapes:
        joints: (N, 21, 2) pixels of the image.
    """
    knuckles = ((joints[..., _INDEX, :] + joints[..., _RING, :]) / 2 + joints[..., _MIDDLE, :]) / 2
    angle = _angle_from_up(knuckles - joints[..., _WRIST, :])
    cos, sin = torch.cos(angle), torch.sin(angle)
    to_upright = torch.stack([cos, sin, -sin, cos], -1).unflatten(-1, (2, 2))  # image -> upright axes
    upright = joints[..., _CENTRAL_JOINTS, :] @ to_upright.mT
    low, high = upright.amin(-2), upright.amax(-2)  # torch.aminmax starts torch's thread pool, even for small tensors
    extent = high - low
    centre = (low + high) / 2 - extent * extent.new_tensor([0.0, config.joint_shift])
    centre = (to_upright.mT @ centre[..., None])[..., 0]
    return HandCrops(centre, config.joint_scale * extent.amax(-1), angle, torch.zeros_like(cos, dtype=torch.bool))


def valid_crops(crops: HandCrops, min_side: float) -> Tensor:
    """(N,) bool: the crop is finite and its side is at least ``min_side`` pixels of the image."""
    numbers = torch.cat([crops.centre, crops.side[..., None], crops.angle[..., None]], -1)
    return torch.isfinite(numbers).all(-1) & (crops.side >= min_side)


def _angle_from_up(direction: Tensor) -> Tensor:
    """Angles of directions (..., 2), clockwise from up, radians."""
    return torch.atan2(direction[..., 0], -direction[..., 1])
