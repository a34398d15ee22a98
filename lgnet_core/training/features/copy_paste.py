"""Copy-paste augmentation: occlude the hands of a real image with rendered hands or patches of other images.

Source: Ghiasi et al. 2021, "Simple Copy-Paste is a Strong Data Augmentation Method for Instance Segmentation".
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from lgnet_core.data.sample import ARM, LEFT_HAND, RIGHT_HAND
from lgnet_core.synthetic.stored import StoredHands
from lgnet_core.training.features.teacher import PseudoLabel, TeacherSettings
from lgnet_core.types import FloatArray, ImageArray

_MIN_HAND_FRACTION = 0.03
"""Minimum fraction of a rendered image that its hands and arms cover, to be used as an occluder."""


def paste_occluders(
    image: ImageArray,
    hands: Sequence[PseudoLabel],
    others: Sequence[ImageArray],
    index: int,
    rendered: StoredHands,
    settings: TeacherSettings,
    random: np.random.Generator,
) -> ImageArray:
    """Copy of an image with an occluder pasted over some of its hands.

    Args:
        hands: hands of the image.
        others: images that patches are cut from, including this one.
        index: index of this image in ``others``; patches are cut from other images if there are any.
        rendered: stored set of rendered hands.
    """
    image = image.copy()
    for hand in hands:
        if random.random() >= settings.paste_probability:
            continue
        if random.random() < settings.rendered_probability:
            patch, mask = _rendered_hand(rendered, random)
        else:
            other = others[(index + 1 + int(random.integers(max(1, len(others) - 1)))) % len(others)]
            patch, mask = _elliptical_patch(other, random)
        _paste(image, patch, mask, hand.joints, settings, random)
    return image


def _rendered_hand(rendered: StoredHands, random: np.random.Generator) -> tuple[ImageArray, FloatArray]:
    """A rendered image, and the mask of its hands and arms: (h, w, 3) uint8 and (h, w) bool."""
    while True:
        sample = rendered[int(random.integers(len(rendered)))]
        mask = torch.isin(sample.segmentation[0], torch.tensor([RIGHT_HAND, LEFT_HAND, ARM])).numpy()
        if mask.mean() > _MIN_HAND_FRACTION:
            return sample.image[0].permute(1, 2, 0).numpy(), mask


def _elliptical_patch(image: ImageArray, random: np.random.Generator) -> tuple[ImageArray, FloatArray]:
    """A random square patch of an image, and the mask of a random ellipse in it: (h, h, 3) uint8 and (h, h) bool."""
    height, width = image.shape[:2]
    side = int(min(height, width) * random.uniform(0.2, 0.5))
    top, left = int(random.integers(height - side)), int(random.integers(width - side))
    mask = np.zeros((side, side), np.uint8)
    axes = (max(2, int(side / 2 * random.uniform(0.5, 1))), max(2, int(side / 2 * random.uniform(0.3, 0.7))))
    cv2.ellipse(mask, (side // 2, side // 2), axes, float(random.uniform(0, 180)), 0, 360, 1, -1)
    return image[top : top + side, left : left + side], mask > 0


def _paste(
    image: ImageArray,
    patch: ImageArray,
    mask: FloatArray,
    joints: FloatArray,
    settings: TeacherSettings,
    random: np.random.Generator,
) -> None:
    """Paste the masked part of a patch in place, at a random rotation, position and scale relative to a hand."""
    rows, columns = np.nonzero(mask)
    extent = max(int(np.ptp(rows)), int(np.ptp(columns)), 4)
    size = float((joints.max(0) - joints.min(0)).max())
    scale = size * random.uniform(*settings.paste_scale) / extent
    centre = joints.mean(0) + random.uniform(-settings.max_paste_offset, settings.max_paste_offset, 2) * size
    angle = random.uniform(-np.pi, np.pi)
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    linear = np.array([[cos, -sin], [sin, cos]])
    mask_centre = np.array([columns.mean(), rows.mean()])
    affine = np.column_stack([linear, centre - linear @ mask_centre])
    height, width = image.shape[:2]
    warped = cv2.warpAffine(np.ascontiguousarray(patch), affine, (width, height), flags=cv2.INTER_LINEAR)
    alpha = cv2.warpAffine(mask.astype(np.float32), affine, (width, height), flags=cv2.INTER_LINEAR)[..., None]
    image[:] = np.rint(image * (1 - alpha) + warped * alpha).astype(np.uint8)
