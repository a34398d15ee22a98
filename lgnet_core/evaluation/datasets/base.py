"""The sets of images that are evaluated: the frozen one, and stored ones; and which images belong together."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from lgnet_core.data.augmentation import resize
from lgnet_core.data.sample import HandsBatch, HandsTruth, concatenate
from lgnet_core.hand_model import HandModel
from lgnet_core.synthetic.camera.cameras import hands_apart
from lgnet_core.synthetic.held_out import SIZE, HeldOutHands
from lgnet_core.synthetic.scene.interactions import Kind
from lgnet_core.synthetic.stored import StoredHands


class Category(Enum):
    """What an image shows: figures are given for each apart, and for all."""

    INTERACTING = "interacting"
    SEPARATE = "separate"
    SINGLE = "single-hand"
    NONE = "no-hand"


CATEGORIES = tuple(Category)
"""By the numbers that a set gives its images."""


class Labelled(NamedTuple):
    """Images as read, with what is true of them.

    Shapes:
        category: (B,) long, index of ``CATEGORIES``.
        film, frame: (B,) int64, which film an image is of (-1: none), and when it was taken.
    """

    batch: HandsBatch
    category: Tensor
    truth: HandsTruth
    film: Tensor
    frame: Tensor

    @classmethod
    def stills(cls, batch: HandsBatch, category: Tensor, hand_model: HandModel) -> Labelled:
        """Images of no film, every hand of which is known whole by its parameters."""
        model = hand_model.v_template.device
        truth = HandsTruth.of(batch.to(model), hand_model).to(batch.image.device)
        none = torch.full((len(batch),), -1)
        return cls(batch, category, truth, none, none)

    def to(self, device: torch.device | str) -> Labelled:
        batch, category, truth, film, frame = self
        return Labelled(batch.to(device), category.to(device), truth.to(device), film.to(device), frame.to(device))


class Images(Protocol):
    """A set of labelled images.

    Attributes:
        name: for titles. metadata: what identifies it. hand_model: what its surfaces are of.
    """

    name: str
    metadata: dict[str, Any]
    hand_model: HandModel

    def __len__(self) -> int: ...

    @property
    def size(self) -> int | None:
        """Side of its images, pixels; None: they are cut from larger ones, at any size."""
        ...

    def read(self, indices: Tensor, size: int) -> Labelled | None:
        """Some images with what is known of them; those that cannot be used are left out. None: all of them.

        Args:
            indices: (B,) int64. size: side of the images, pixels.
        """
        ...


class HeldOutImages:
    """The frozen held-out set; categories are what its scenes were drawn as, whatever the crop shows of them."""

    def __init__(self, hand_model: HandModel) -> None:
        self._set, self.hand_model = HeldOutHands(hand_model), hand_model
        self.metadata, self.size = self._set.metadata, SIZE
        self.name = str(self.metadata["name"])

    def __len__(self) -> int:
        return len(self._set)

    def read(self, indices: Tensor, size: int) -> Labelled:
        category = category_of_kind(self._set.kind[indices])
        return Labelled.stills(self._set.batch(indices, size), category, self.hand_model)


class StoredImages:
    """A folder that ``lgnet synth`` wrote; categories are what the labels show, :func:`category_of_labels`."""

    def __init__(self, directory: Path, hand_model: HandModel) -> None:
        self._set, self.hand_model = StoredHands(directory, hand_model), hand_model
        self.metadata, self.name = self._set.metadata, str(directory)
        self.size = int(self.metadata["size"])

    def __len__(self) -> int:
        return len(self._set)

    def read(self, indices: Tensor, size: int) -> Labelled:
        batch = resize(concatenate([self._set[index] for index in indices.tolist()]), size)
        return Labelled.stills(batch, category_of_labels(batch, self.hand_model), self.hand_model)


def category_of_kind(kind: Tensor) -> Tensor:
    """(B,) index of ``CATEGORIES`` for (B,) :class:`~lgnet_core.synthetic.scene.interactions.Kind`."""
    table = torch.full((len(Kind),), CATEGORIES.index(Category.INTERACTING))
    table[Kind.SEPARATE] = CATEGORIES.index(Category.SEPARATE)
    table[[Kind.SINGLE_RIGHT, Kind.SINGLE_LEFT]] = CATEGORIES.index(Category.SINGLE)
    table[Kind.NONE] = CATEGORIES.index(Category.NONE)
    return table[kind]


def category_of_labels(batch: HandsBatch, hand_model: HandModel) -> Tensor:
    """(B,) index of ``CATEGORIES`` by the hands that are there; two are separate if they would get a crop each."""
    joints = batch.to(hand_model.v_template.device).labels(hand_model).joints_2d.cpu()
    apart = hands_apart(joints.amin(2), joints.amax(2))
    hands = batch.presence.sum(1)
    pair = torch.where(apart, CATEGORIES.index(Category.SEPARATE), CATEGORIES.index(Category.INTERACTING))
    few = torch.where(hands == 1, CATEGORIES.index(Category.SINGLE), CATEGORIES.index(Category.NONE))
    return torch.where(hands == 2, pair, few)
