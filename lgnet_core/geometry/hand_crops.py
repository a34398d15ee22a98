r"""Upright square crops of one hand each: their geometry, batched, in torch alone (inference and training share it).

A crop is turned so that the hand points up, and is mirrored for a left hand, so that every crop shows a right hand.
Its hand has a frame of its own, the *canonical frame*: z along the ray through the crop's centre, y down the crop, x to
its right. For a mirrored crop x points the other way, so the matrix is a reflection, and a left hand looks there as a
right one does. Pose and shape in the canonical frame do not depend on where in the image the hand is.

Sources: the rules are those of MediaPipe Hands (Zhang et al. 2020): palm_detection_detection_to_roi and
hand_landmark_landmarks_to_roi of MediaPipe 0.10.21 (Apache-2.0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lgnet_core.geometry.camera import inverse_2x2
from lgnet_core.types import Side

PALM_KEYPOINTS = ("wrist", "index_1", "middle_1", "ring_1", "pinky_1", "thumb_1", "thumb_2")
"""Keypoints of a palm, in the order of the palm detector."""

PALM_JOINTS = (0, 5, 9, 13, 17, 1, 2)
"""The joints that these keypoints are."""

_PALM_WRIST, _PALM_MIDDLE = PALM_KEYPOINTS.index("wrist"), PALM_KEYPOINTS.index("middle_1")
_WRIST, _INDEX, _MIDDLE, _RING = 0, 5, 9, 13
_CENTRAL_JOINTS = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)  # the fingers' ends move too much to centre a crop


@dataclass(frozen=True)
class CropRule:
    """How a crop's square follows from a hand. The values are MediaPipe's: its networks were trained on such crops.

    Args:
        palm_scale: side of the crop over the longer side of a palm's box.
        palm_shift: of the crop's centre towards the fingers, in longer sides of the palm's box.
        joint_scale: side of the crop over the longer side of the upright box around the palm's joints.
        joint_shift: of the crop's centre towards the fingers, in heights of that box.
    """

    palm_scale: float = 2.6
    palm_shift: float = 0.5
    joint_scale: float = 2.0
    joint_shift: float = 0.1


CROP_RULE = CropRule()


class HandCrops(NamedTuple):
    """Squares of an image, each around one hand.

    Shapes:
        centre: (N, 2) pixels of the image.
        side: (N,) pixels of the image.
        angle: (N,) radians by which the hand is turned clockwise, as seen, from pointing up.
        mirrored: (N,) bool: the crop is the mirror image, of a left hand.
    """

    centre: Tensor
    side: Tensor
    angle: Tensor
    mirrored: Tensor

    def select(self, rows: Tensor) -> HandCrops:
        """Some of the crops: rows by index or by mask."""
        return HandCrops(*(value[rows] for value in self))

    def mirror_left(self, sides: Tensor) -> HandCrops:
        """The crops for hands of the given sides (N,): those of left hands mirrored."""
        return self._replace(mirrored=sides == Side.LEFT)

    def affine(self, size: int) -> Tensor:
        """(N, 2, 3): pixels of the image -> pixels of the crops of ``size`` x ``size`` pixels."""
        scale = size / self.side
        cos, sin = torch.cos(self.angle) * scale, torch.sin(self.angle) * scale
        flip = torch.where(self.mirrored, -1.0, 1.0).to(cos.dtype)
        linear = torch.stack([flip * cos, flip * sin, -sin, cos], -1).unflatten(-1, (2, 2))
        shift = (size - 1) / 2 - (linear @ self.centre[..., None])[..., 0]
        return torch.cat([linear, shift[..., None]], -1)

    def frame(self, intrinsics: Tensor) -> Tensor:
        """The canonical frames, orthogonal: camera axes -> axes of the hand's own frame.

        Args:
            intrinsics: K of the image (where it is distorted: the pinhole that the lens resembles there), pixels.

        Shapes:
            intrinsics: (3, 3) or (N, 3, 3); returns (N, 3, 3), of determinant -1 where the crop is mirrored.
        """
        # A step down the crop, as a step of the ray: the hand's own "down", whatever the pixels' aspect ratio.
        down = torch.stack([-torch.sin(self.angle), torch.cos(self.angle)], -1)
        pixels = torch.stack([self.centre - intrinsics[..., :2, 2], down], -1)
        ray, step = (inverse_2x2(intrinsics[..., :2, :2]) @ pixels).unbind(-1)
        z = F.normalize(F.pad(ray, (0, 1), value=1.0), dim=-1)
        x = F.normalize(torch.linalg.cross(F.pad(step, (0, 1)), z), dim=-1)
        y = torch.linalg.cross(z, x)
        return torch.stack([torch.where(self.mirrored[..., None], -x, x), y, z], -2)


def crops_of_palms(boxes: Tensor, keypoints: Tensor, rule: CropRule = CROP_RULE) -> HandCrops:
    """Crops around the hands of detected palms; none is mirrored.

    Args:
        boxes: left, top, right, bottom of the palms; keypoints: :data:`PALM_KEYPOINTS`; pixels of the image.

    Shapes:
        boxes: (N, 4); keypoints: (N, 7, 2).
    """
    low, high = boxes[..., :2], boxes[..., 2:]
    length = (high - low).amax(-1)
    angle = _angle(keypoints[..., _PALM_MIDDLE, :] - keypoints[..., _PALM_WRIST, :])
    up = torch.stack([torch.sin(angle), -torch.cos(angle)], -1)
    centre = (low + high) / 2 + rule.palm_shift * length[..., None] * up
    return HandCrops(centre, rule.palm_scale * length, angle, torch.zeros_like(length, dtype=torch.bool))


def crops_of_joints(joints: Tensor, rule: CropRule = CROP_RULE) -> HandCrops:
    """Crops around hands with known 2D joints; none is mirrored.

    Args:
        joints: pixels of the image.

    Shapes:
        joints: (N, 21, 2).
    """
    middle = ((joints[..., _INDEX, :] + joints[..., _RING, :]) / 2 + joints[..., _MIDDLE, :]) / 2
    angle = _angle(middle - joints[..., _WRIST, :])
    cos, sin = torch.cos(angle), torch.sin(angle)
    turn = torch.stack([cos, sin, -sin, cos], -1).unflatten(-1, (2, 2))  # image -> upright axes
    upright = joints[..., _CENTRAL_JOINTS, :] @ turn.mT
    low, high = upright.amin(-2), upright.amax(-2)  # torch.aminmax wakes torch's threads, however small the tensor
    extent = high - low
    centre = (low + high) / 2 - extent * extent.new_tensor([0.0, rule.joint_shift])
    centre = (turn.mT @ centre[..., None])[..., 0]
    return HandCrops(centre, rule.joint_scale * extent.amax(-1), angle, torch.zeros_like(cos, dtype=torch.bool))


def crop_projection(affine: Tensor, intrinsics: Tensor) -> Tensor:
    """K of the crops in the camera's own axes: A K, with a full upper-left 2x2 block (turned, perhaps mirrored).

    :func:`lgnet_core.geometry.camera.project` and ``backproject`` take it as any other K.

    Shapes:
        affine: (..., 2, 3); intrinsics: (..., 3, 3); returns (..., 3, 3), pixels of the crop.
    """
    upper = affine @ intrinsics
    last = intrinsics[..., 2:, :].expand(*upper.shape[:-2], 1, 3)
    return torch.cat([upper, last], -2)


def to_crop(affine: Tensor, points: Tensor) -> Tensor:
    """Points of the image to points of the crop. Shapes: (..., 2, 3), (..., P, 2) -> (..., P, 2)."""
    return points @ affine[..., :2].mT + affine[..., None, :, 2]


def to_image(affine: Tensor, points: Tensor) -> Tensor:
    """Inverse of :func:`to_crop`."""
    return (points - affine[..., None, :, 2]) @ inverse_2x2(affine[..., :2]).mT


def usable(crops: HandCrops, smallest: float) -> Tensor:
    """(N,) bool: the crop is finite and its side at least ``smallest`` pixels of the image."""
    numbers = torch.cat([crops.centre, crops.side[..., None], crops.angle[..., None]], -1)
    return torch.isfinite(numbers).all(-1) & (crops.side >= smallest)


def _angle(direction: Tensor) -> Tensor:
    """Of (..., 2), clockwise from up."""
    return torch.atan2(direction[..., 0], -direction[..., 1])
