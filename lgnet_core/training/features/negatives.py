"""Hard-negative crops: background, and hands mirrored to the opposite side.

All other training crops show one hand each, mirrored if it is a left hand, so presence and handedness have the same
label in all of them. One extra crop per image provides the other labels: either a mirrored crop of a hand, which looks
like a hand of the opposite side, or a background crop.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lgnet_core.data.sample import inside_image
from lgnet_core.geometry.affine import inverse_transform_points, transform_points
from lgnet_core.geometry.hand_crops import HandCrops
from lgnet_core.network.prediction import HAND_CROP_SIZE

MIRROR_PROBABILITY = 0.35
"""Probability that the extra crop is a mirrored hand, if the image has one."""
JOINT_CENTRE_PROBABILITY = 0.5
"""Probability that a background crop is centred on a hand joint: a single finger must not be detected as a hand."""
MAX_JOINT_FRACTION = 0.15
"""A crop is background if it contains less than this fraction of the joints of every hand."""
MAX_ATTEMPTS = 8
MIN_IMAGE_FRACTION = 0.5
"""Minimum fraction of a palm candidate's crop inside the image: black crops teach nothing."""
SCALE_RANGE = (0.12, 2.0)
"""Range of the side of a background crop relative to the hand crops of the image, sampled log-uniformly."""


def mirror_crop(affine: Tensor) -> Tensor:
    """Affine maps (..., 2, 3) to the horizontally mirrored crops."""
    flip = affine.new_tensor([[-1.0], [1.0]])
    shift = affine.new_tensor([[0.0, 0.0, HAND_CROP_SIZE - 1.0], [0.0, 0.0, 0.0]])
    return affine * flip + shift


def sample_background_crop(
    joints: Tensor, side: float, size: tuple[int, int], generator: torch.Generator
) -> Tensor | None:
    """Sample a randomly rotated square crop without a hand; None if no attempt succeeded.

    Args:
        joints: joints of all hands in the image, pixels.
        side: side of the hand crops, pixels.
        size: width and height of the image, pixels.

    Shapes:
        joints: (H, 21, 2); returns (2, 3), image pixels -> crop pixels.
    """
    low, high = (float(torch.tensor(value).log()) for value in SCALE_RANGE)
    for _ in range(MAX_ATTEMPTS):
        random = torch.rand(5, generator=generator, dtype=torch.float64)
        if len(joints) and float(random[0]) < JOINT_CENTRE_PROBABILITY:
            centre = joints.reshape(-1, 2)[int(random[1] * joints.shape[0] * joints.shape[1])].double()
        else:
            centre = random[1:3] * torch.tensor(size) - 0.5
        affine = HandCrops(
            centre=centre[None],
            side=side * torch.exp(low + (high - low) * random[3:4]),
            angle=(2 * random[4:] - 1) * torch.pi,
            mirrored=torch.zeros(1, dtype=torch.bool),
        ).affine(HAND_CROP_SIZE)
        if is_background(affine[0], joints):
            return affine[0]
    return None


def is_background(affine: Tensor, joints: Tensor) -> bool:
    """Whether a crop (2, 3) contains almost none of the joints (H, 21, 2) of any hand."""
    pixels = transform_points(affine, joints.double())
    inside = ((pixels >= -0.5) & (pixels <= HAND_CROP_SIZE - 0.5)).all(-1).double().mean(-1)
    return not len(joints) or float(inside.max()) < MAX_JOINT_FRACTION


def shows_image(affine: Tensor, size: tuple[int, int]) -> bool:
    """Whether enough of a crop (2, 3) lies inside an image of this width and height."""
    centres = (torch.arange(8, dtype=torch.float64) + 0.5) * (HAND_CROP_SIZE / 8) - 0.5
    pixels = inverse_transform_points(affine.double(), torch.cartesian_prod(centres, centres))
    inside = inside_image(pixels, *size)
    return float(inside.double().mean()) >= MIN_IMAGE_FRACTION
