"""Annotated photographs: validated loading of images and square crops around the hands with all labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lgnet_core.data.sample import OTHER, HandsBatch, HandsGroundTruth, inside_image
from lgnet_core.geometry.crops import crop_intrinsics, square_crop, warp
from lgnet_core.io.files import InputError
from lgnet_core.io.images import load_image
from lgnet_core.types import FloatArray, ImageArray

HAND_TYPES = ("right", "left", "interacting")
"""Hand types by the index used in the data sets; the index of a single hand is its :class:`~lgnet_core.types.Side`."""

INTERACTING = HAND_TYPES.index("interacting")

HANDS_OF_TYPE = np.array([[True, False], [False, True], [True, True]])
"""(3, 2) which hands are present in an image of each type."""

CROP_MARGIN = 1.25
"""Side of the crop over that of the box: LGNet's half side of max extent / 2 / 0.8, and InterNet's."""

FAULTS = (
    "image is missing",
    "image is damaged",
    "image size differs from its annotation",
    "image is too dark",
    "mesh is missing or damaged",
    "no hand is visible",
    "hands are too far apart for one view",
)
MISSING, DAMAGED, OTHER_SIZE, DARK, NO_MESH, NO_HAND, TOO_WIDE = range(1, len(FAULTS) + 1)


class ImageFaults:
    """Registry of unusable images and the reasons; shared by all processes that read the data set.

    Args:
        count: number of images in the data set.
    """

    def __init__(self, count: int) -> None:
        self._fault = torch.zeros(count, dtype=torch.uint8).share_memory_()

    def mark(self, image: int, fault: int) -> None:
        """Record the fault of an image, one of this module's constants."""
        self._fault[image] = fault

    def is_faulty(self, image: int) -> bool:
        """Whether the image is known to be unusable."""
        return bool(self._fault[image])

    def read(self, image: int, path: Path, width: int, height: int, min_brightness: float = 0.0) -> ImageArray | None:
        """:func:`load_annotated_image` of an image that is not known to be faulty; a fault is recorded."""
        if self.is_faulty(image):
            return None
        read = load_annotated_image(path, width, height, min_brightness)
        if isinstance(read, int):
            self.mark(image, read)
            return None
        return read

    def num_unreadable(self) -> int:
        """Number of images that are missing, damaged or of the wrong size, among those read so far."""
        return int(torch.isin(self._fault, self._fault.new_tensor([MISSING, DAMAGED, OTHER_SIZE])).sum())

    def counts(self) -> dict[str, int]:
        """Number of images with each fault, among those read so far."""
        found = torch.bincount(self._fault.long(), minlength=len(FAULTS) + 1)[1:]
        return {reason: int(count) for reason, count in zip(FAULTS, found) if count}


def load_annotated_image(path: Path, width: int, height: int, min_brightness: float = 0.0) -> ImageArray | int:
    """Load an image (H, W, 3) uint8 RGB, or return its fault.

    Args:
        width, height: as annotated, pixels. min_brightness: mean grey value below which the image is unusable.
    """
    if not path.is_file():
        return MISSING
    try:
        image = load_image(path)
    except InputError:
        return DAMAGED
    if (image.width, image.height) != (width, height) or image.downscaled:
        return OTHER_SIZE
    return DARK if image.image.mean() < min_brightness else image.image


class ImageLabels(NamedTuple):
    """Labels of full images, before cropping; camera frame of the image, metres, pixels.

    Shapes:
        intrinsics: (B, 3, 3); box: (B, 4) left, top, right, bottom of the region to be cropped.
        presence: (B, 2) bool; rotations: (B, 2, 16, 3, 3); shape: (B, 2, 10), arbitrary for hands without a fit.
        truth: ``joints_2d`` is not set yet.
    """

    intrinsics: Tensor
    box: FloatArray
    presence: Tensor
    rotations: Tensor
    shape: Tensor
    truth: HandsGroundTruth


class LoadedCrops(NamedTuple):
    """Crops that could be loaded; ``indices`` of their images in the data set, in the order of the batch."""

    indices: list[int]
    batch: HandsBatch
    truth: HandsGroundTruth


def crop_with_labels(
    images: Sequence[ImageArray], labels: ImageLabels, size: int, crop_affines: FloatArray | None = None
) -> tuple[HandsBatch, HandsGroundTruth]:
    """Square crops around the boxes, with all labels in the cameras of the crops.

    Crops are cut from the full image, so an augmented crop contains real surroundings. Occlusion is unknown: joints
    inside the crop count as visible. Everything is marked as foreground, since there is no segmentation.

    Args:
        crop_affines: pixels of each crop -> pixels of the augmented crop; None: identity.

    Shapes:
        crop_affines: (B, 2, 3).
    """
    affines = [square_crop(box, size, CROP_MARGIN) for box in labels.box]
    if crop_affines is not None:
        affines = [_compose(m, a) for m, a in zip(crop_affines, affines)]
    crops = np.stack([warp(image, affine, size) for image, affine in zip(images, affines)])
    cameras = [crop_intrinsics(a, k) for a, k in zip(affines, labels.intrinsics.double().numpy())]
    intrinsics, rotation = (torch.from_numpy(np.stack(x)).float() for x in zip(*cameras))
    truth = labels.truth.in_crop(rotation, intrinsics)
    rotations = labels.rotations.clone()
    rotations[:, :, 0] = rotation[:, None] @ rotations[:, :, 0]
    inside = inside_image(truth.joints_2d, size, size)
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


def _compose(second: FloatArray, first: FloatArray) -> FloatArray:
    """The affine (2, 3) that applies ``first``, then ``second``."""
    return np.column_stack([second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2] + second[:, 2]])
