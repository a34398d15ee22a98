"""Sets of real, annotated images as sets to be evaluated: InterHand2.6M and HIC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from lgnet_core.data.real_images import INTERACTING, FaultyImages, ReadImages
from lgnet_core.evaluation.image_sets import CATEGORIES, Category, Labelled
from lgnet_core.hand_model import HandModel
from lgnet_core.types import FloatArray


class AnnotatedSet(Protocol):
    """:class:`lgnet_core.data.interhand26m.InterHand26M` and :class:`lgnet_core.data.hic.HIC` read as this."""

    faults: FaultyImages

    def __len__(self) -> int: ...
    def read(self, places: Sequence[int], size: int) -> ReadImages | None: ...
    def hand_type(self, places: Sequence[int]) -> FloatArray: ...
    def moments(self, places: Sequence[int]) -> tuple[Tensor, Tensor]: ...
    def skipped(self) -> dict[str, int]: ...


class AnnotatedImages:
    """An annotated set; categories are its hand types: both hands are interacting, one is single.

    Args:
        images: the set. hand_model: what its surfaces are of. name, metadata: see
            :class:`lgnet_core.evaluation.image_sets.Images`.
    """

    size = None

    def __init__(self, images: AnnotatedSet, hand_model: HandModel, name: str, metadata: dict[str, Any]) -> None:
        self.set, self.hand_model, self.name, self.metadata = images, hand_model, name, metadata

    def __len__(self) -> int:
        return len(self.set)

    def read(self, indices: Tensor, size: int) -> Labelled | None:
        read = self.set.read(indices.tolist(), size)
        if read is None:
            return None
        interacting = torch.from_numpy(self.set.hand_type(read.places) == INTERACTING)
        pair, single = (CATEGORIES.index(category) for category in (Category.INTERACTING, Category.SINGLE))
        film, frame = self.set.moments(read.places)
        return Labelled(read.batch, torch.where(interacting, pair, single), read.truth, film, frame)
