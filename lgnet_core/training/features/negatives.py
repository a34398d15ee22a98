"""Crops from which the landmark network learns what its hands are not: places without a hand, and the other side.

The crops that everything else is trained on show one hand each, mirrored where it is a left one: presence and side are
the same in all of them. One more crop of each image is either one of its hands in the mirror, which looks like a hand
of the other side, or a place of the image where no hand is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lgnet_core.geometry.hand_crops import HandCrops, to_crop
from lgnet_core.network.detector.hand_landmark import HAND_CROP_SIZE

MIRRORED = 0.35
"""Part of the crops that show a hand in the mirror, where the image has one."""
AT_A_JOINT = 0.5
"""Part of the places whose centre is a joint of a hand: a finger by itself is no hand."""
INSIDE = 0.15
"""A place is without a hand if less than this part of each hand's joints lies in it."""
TRIES = 8
SIDES = (0.12, 2.0)
"""Side of a place over that of the crops of the image's hands, least and most; its log is uniform."""


def mirror(affine: Tensor) -> Tensor:
    """The affine maps (..., 2, 3) to crops whose image is mirrored."""
    flip = affine.new_tensor([[-1.0], [1.0]])
    shift = affine.new_tensor([[0.0, 0.0, HAND_CROP_SIZE - 1.0], [0.0, 0.0, 0.0]])
    return affine * flip + shift


def draw_place(joints: Tensor, side: float, size: tuple[int, int], generator: torch.Generator) -> Tensor | None:
    """A random square of an image without a hand, turned at random; None if none was found.

    Args:
        joints: of the image's hands, pixels. side: of the crops of these hands, pixels. size: width and height.

    Shapes:
        joints: (H, 21, 2); returns (2, 3), pixels of the image -> pixels of the crop.
    """
    low, high = (float(torch.tensor(value).log()) for value in SIDES)
    for _ in range(TRIES):
        random = torch.rand(5, generator=generator, dtype=torch.float64)
        if len(joints) and float(random[0]) < AT_A_JOINT:
            centre = joints.reshape(-1, 2)[int(random[1] * joints.shape[0] * joints.shape[1])].double()
        else:
            centre = random[1:3] * torch.tensor(size) - 0.5
        affine = HandCrops(
            centre=centre[None],
            side=side * torch.exp(low + (high - low) * random[3:4]),
            angle=(2 * random[4:] - 1) * torch.pi,
            mirrored=torch.zeros(1, dtype=torch.bool),
        ).affine(HAND_CROP_SIZE)
        if without_hand(affine[0], joints):
            return affine[0]
    return None


def without_hand(affine: Tensor, joints: Tensor) -> bool:
    """Whether almost none of the joints (H, 21, 2) of each hand lie in a crop (2, 3)."""
    places = to_crop(affine, joints.double())
    inside = ((places >= -0.5) & (places <= HAND_CROP_SIZE - 0.5)).all(-1).double().mean(-1)
    return not len(joints) or float(inside.max()) < INSIDE
