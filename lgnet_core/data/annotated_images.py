"""Real images of hands: from full images and what is known of them to crops, and images that cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lgnet_core.data.sample import OTHER, HandsBatch, HandsTruth
from lgnet_core.geometry.camera import crop_intrinsics, square_crop, warp
from lgnet_core.io.images import InputError, load_image
from lgnet_core.types import FloatArray

HAND_TYPES = ("right", "left", "interacting")
"""What an image shows, by the numbers that sets give it; a single hand's is its :class:`~lgnet_core.types.Side`."""

INTERACTING = HAND_TYPES.index("interacting")

HANDS_OF_TYPE = np.array([[True, False], [False, True], [True, True]])
"""(3, 2) which hands an image of each type shows."""

MARGIN = 1.25
"""Crop's side over the box's: LGNet's half side of max extent / 2 / 0.8, and InterNet's."""

FAULTS = (
    "image is missing",
    "image is damaged",
    "image has another size than its annotation says",
    "image is dark",
    "mesh is missing or damaged",
)
MISSING, DAMAGED, OTHER_SIZE, DARK, NO_MESH = range(1, len(FAULTS) + 1)


class FaultyImages:
    """Which images turned out to be of no use, and why; shared by all processes that read the set.

    Args:
        count: images of the set.
    """

    def __init__(self, count: int) -> None:
        self._fault = torch.zeros(count, dtype=torch.uint8).share_memory_()

    def mark(self, image: int, fault: int) -> None:
        """Remember an image's fault, one of this module's constants."""
        self._fault[image] = fault

    def is_faulty(self, image: int) -> bool:
        """Whether it is known that the image cannot be used."""
        return bool(self._fault[image])

    def read(self, image: int, path: Path, width: int, height: int, darkest: float = 0.0) -> FloatArray | None:
        """:func:`read_annotated` of an image that is not known to be faulty; a fault is remembered."""
        if self.is_faulty(image):
            return None
        read = read_annotated(path, width, height, darkest)
        if isinstance(read, int):
            self.mark(image, read)
            return None
        return read

    def unread(self) -> int:
        """How many images are missing, damaged or of another size, as far as they were read."""
        return int(torch.isin(self._fault, self._fault.new_tensor([MISSING, DAMAGED, OTHER_SIZE])).sum())

    def counts(self) -> dict[str, int]:
        """How many images have each fault, as far as they were read."""
        found = torch.bincount(self._fault.long(), minlength=len(FAULTS) + 1)[1:]
        return {reason: int(count) for reason, count in zip(FAULTS, found) if count}


def read_annotated(path: Path, width: int, height: int, darkest: float = 0.0) -> FloatArray | int:
    """An image (H, W, 3) uint8 RGB, or its fault.

    Args:
        width, height: as annotated, pixels. darkest: mean grey value below which it is of no use.
    """
    if not path.is_file():
        return MISSING
    try:
        image = load_image(path)
    except InputError:
        return DAMAGED
    if (image.width, image.height) != (width, height) or image.reduced:
        return OTHER_SIZE
    return DARK if image.image.mean() < darkest else image.image


class FullLabels(NamedTuple):
    """What is known of full images, before a crop is cut; camera frame of the image, metres, pixels.

    Shapes:
        intrinsics: (B, 3, 3); box: (B, 4) left, top, right, bottom of what a crop is cut around.
        presence: (B, 2) bool; rotations: (B, 2, 16, 3, 3); shape: (B, 2, 10), without meaning where nothing was fitted.
        truth: ``joints_2d`` is not set yet.
    """

    intrinsics: Tensor
    box: FloatArray
    presence: Tensor
    rotations: Tensor
    shape: Tensor
    truth: HandsTruth


class ReadImages(NamedTuple):
    """What could be read: ``places`` of the images in their set, in the order of the rest."""

    places: list[int]
    batch: HandsBatch
    truth: HandsTruth


def cut(
    images: Sequence[FloatArray], labels: FullLabels, size: int, moves: FloatArray | None = None
) -> tuple[HandsBatch, HandsTruth]:
    """Square crops around the boxes, and every label in their cameras.

    The surroundings are those of the image, however the crop is moved. Which joints are hidden is not known: those
    inside the crop count as visible. Everything is marked as foreground, since nobody told hands from background.

    Args:
        moves: pixels of each crop -> pixels of the moved crop, e.g. an augmentation; None: they stay.

    Shapes:
        moves: (B, 2, 3).
    """
    affines = [square_crop(box, size, MARGIN) for box in labels.box]
    if moves is not None:
        affines = [np.column_stack([m[:, :2] @ a[:, :2], m[:, :2] @ a[:, 2] + m[:, 2]]) for m, a in zip(moves, affines)]
    crops = np.stack([warp(image, affine, size) for image, affine in zip(images, affines)])
    cameras = [crop_intrinsics(a, k) for a, k in zip(affines, labels.intrinsics.double().numpy())]
    intrinsics, turn = (torch.from_numpy(np.stack(x)).float() for x in zip(*cameras))
    truth = labels.truth.in_crop(turn, intrinsics)
    rotations = labels.rotations.clone()
    rotations[:, :, 0] = turn[:, None] @ rotations[:, :, 0]
    inside = ((truth.joints_2d > -0.5) & (truth.joints_2d < size - 0.5)).all(-1)
    batch = HandsBatch(
        image=torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous(),
        intrinsics=intrinsics,
        affine=torch.from_numpy(np.stack(affines)).float(),
        rotations=rotations,
        shape=labels.shape,
        wrist=truth.joints[:, :, 0],
        presence=labels.presence,
        visibility=inside & truth.joints_known,
        segmentation=torch.full((len(crops), size, size), OTHER, dtype=torch.uint8),
    )
    return batch, truth
