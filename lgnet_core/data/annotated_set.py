"""Base class of data sets of annotated photographs, and the reading of their JSON files."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lgnet_core.data.annotated_images import ImageFaults, ImageLabels, LoadedCrops, crop_with_labels
from lgnet_core.data.sample import HandsGroundTruth
from lgnet_core.geometry.camera import project
from lgnet_core.geometry.crops import bounding_box
from lgnet_core.io.files import InputError
from lgnet_core.types import FloatArray, ImageArray


class AnnotatedSet(ABC):
    """Annotated images from which crops with labels are cut.

    Args:
        count: number of images.

    Attributes:
        faults: images that proved unusable when they were read. skipped_rows: annotations that cannot be used, by
            reason.
    """

    def __init__(self, count: int) -> None:
        self.faults = ImageFaults(count)
        self.skipped_rows: Counter[str] = Counter()
        self._count = count

    def __len__(self) -> int:
        return self._count

    def skipped(self) -> dict[str, int]:
        """Number of unusable annotations, and of unusable images read so far, by reason."""
        return {**self.skipped_rows, **self.faults.counts()}

    def read(self, indices: Sequence[int], size: int, crop_affines: FloatArray | None = None) -> LoadedCrops | None:
        """Load crops with their labels; unusable images are skipped and recorded. None if all are unusable.

        Args:
            indices: of the images in this data set. size: side of the crops, pixels.
            crop_affines: pixels of each crop -> pixels of the augmented crop; None: identity.

        Shapes:
            crop_affines: (B, 2, 3).
        """
        images = [self._image(int(index)) for index in indices]
        usable = [k for k, image in enumerate(images) if image is not None]
        if not usable:
            return None
        loaded = [image for image in images if image is not None]
        kept = [int(indices[k]) for k in usable]
        affines = None if crop_affines is None else crop_affines[usable]
        batch, truth = crop_with_labels(loaded, self.labels(kept), size, affines)
        return LoadedCrops(kept, batch, truth)

    @abstractmethod
    def labels(self, indices: Sequence[int]) -> ImageLabels:
        """Labels of full images in their cameras, without loading the images."""

    @abstractmethod
    def hand_type(self, indices: Sequence[int]) -> FloatArray:
        """(B,) of :data:`lgnet_core.data.annotated_images.HAND_TYPES`."""

    @abstractmethod
    def sequence_and_frame(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Sequence number (-1: none) and frame number of each image; both (B,) int64."""

    @abstractmethod
    def _image(self, index: int) -> ImageArray | None:
        """The full image; None if it is unusable, which is recorded in :attr:`faults`."""


def joint_labels(joints: Tensor, known: Tensor, intrinsics: Tensor) -> ImageLabels:
    """Labels of images of which only joints are known; the region to be cropped is the box around them.

    Shapes:
        joints: (B, 2, 21, 3) metres, camera frame; known: (B, 2, 21) bool, at least two joints of each image; a hand
        with a known joint is present; intrinsics: (B, 3, 3), pixels.
    """
    count = len(joints)
    truth = HandsGroundTruth.of_joints(joints.float(), known)
    pixels = project(truth.joints, intrinsics.float()[:, None]).double().numpy()
    boxes = np.stack([bounding_box(points[visible]) for points, visible in zip(pixels, known.numpy())])
    rotations = torch.eye(3).expand(count, 2, 16, 3, 3)
    return ImageLabels(intrinsics.float(), boxes, known.any(-1), rotations, torch.zeros(count, 2, 10), truth)


def read_json(path: Path, data: str, remedy: str) -> Any:
    """The content of a JSON file of a data set.

    Args:
        data: name of the data set. remedy: what to do if the file is missing.

    Raises:
        InputError: if the file is missing, unreadable or no JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{data}: {path} not found; {remedy}") from None
    except OSError as error:
        raise InputError(f"{data}: {path} cannot be read ({error.strerror}); check its permissions") from error
    except ValueError as error:
        raise invalid_file(path, data, str(error)) from error


def invalid_file(path: Path, data: str, problem: str) -> InputError:
    """Error for a file that is not as the data set's authors distribute it."""
    return InputError(f"{path}: truncated, or not a file of {data} ({problem}); download it again")


def number_array(values: Any, shape: tuple[int, ...], path: Path, data: str, what: str) -> FloatArray:
    """Numbers of a JSON file as a finite float64 array.

    Args:
        shape: expected; -1 for an axis of any length. path, data, what: file, data set and name of the numbers, for
            messages.

    Raises:
        InputError: if the shape differs, or a number is not finite.
    """
    try:
        numbers = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise invalid_file(path, data, f"{what}: {error}") from error
    fits = len(numbers.shape) == len(shape) and all(n in (-1, m) for n, m in zip(shape, numbers.shape))
    if not fits or not np.isfinite(numbers).all():
        expected = " x ".join("N" if n == -1 else str(n) for n in shape)
        raise invalid_file(path, data, f"{what}: {expected} finite numbers expected, found {numbers.shape}")
    return numbers
