"""Evaluation data sets: image categories, labelled images and the interface of a data set."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from lgnet_core.data.sample import HandsBatch, HandsGroundTruth
from lgnet_core.hand_model import HandLayer

INTERHAND26M, HIC, FREIHAND, CONTACTPOSE, HOT3D = "interhand26m", "hic", "freihand", "contactpose", "hot3d"
"""Names of the public data sets, in options and in tables of published results."""


class Category(Enum):
    """Category of an image; metrics are reported for each category and for all images."""

    INTERACTING = "interacting"
    SEPARATE = "separate"
    SINGLE = "single-hand"
    NONE = "no-hand"


CATEGORIES = tuple(Category)
"""Categories by the index that data sets assign to their images."""


class LabelledImages(NamedTuple):
    """A batch of images with their ground truth.

    Shapes:
        category: (B,) long, index of ``CATEGORIES``.
        sequence, frame: (B,) int64, the image sequence (-1: none) and the frame number in it.
    """

    batch: HandsBatch
    category: Tensor
    truth: HandsGroundTruth
    sequence: Tensor
    frame: Tensor

    @classmethod
    def stills(cls, batch: HandsBatch, category: Tensor, hand_model: HandLayer) -> LabelledImages:
        """Fully labelled images that are not part of a sequence."""
        model_device = hand_model.v_template.device
        truth = HandsGroundTruth.of(batch.to(model_device), hand_model).to(batch.image.device)
        none = torch.full((len(batch),), -1)
        return cls(batch, category, truth, none, none)

    def to(self, device: torch.device | str) -> LabelledImages:
        batch, category, truth, sequence, frame = self
        return LabelledImages(
            batch.to(device), category.to(device), truth.to(device), sequence.to(device), frame.to(device)
        )


class EvaluationImages(Protocol):
    """A data set of labelled images.

    Attributes:
        name: for titles. metadata: identifies the data set; an entry ``note`` is shown with the results.
    """

    name: str
    metadata: dict[str, Any]

    def __len__(self) -> int: ...

    @property
    def hand_model(self) -> HandLayer | None:
        """The model of its meshes; None: there are none, or their model is not at hand."""
        ...

    @property
    def size(self) -> int | None:
        """Side of the images, pixels; None: crops of larger images, available at any size."""
        ...

    def read(self, indices: Tensor, size: int) -> LabelledImages | None:
        """Load images with their ground truth; unusable images are skipped. None if all are unusable.

        Args:
            indices: (B,) int64. size: side of the images, pixels.
        """
        ...


def has_vertices_of(images: EvaluationImages, hand_model: HandLayer) -> bool:
    """Whether the true meshes of a data set have the vertices of a hand model, so that these can be compared."""
    return images.hand_model is not None and images.hand_model.digest == hand_model.digest
