"""Adapter from annotated photographs (:mod:`lgnet_core.data`) to the evaluation interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from lgnet_core.data.annotated_images import INTERACTING, ImageFaults, LoadedCrops
from lgnet_core.evaluation.datasets.base import CATEGORIES, Category, LabelledImages
from lgnet_core.hand_model import HandLayer
from lgnet_core.types import FloatArray


class AnnotatedDataset(Protocol):
    """Interface of :class:`lgnet_core.data.annotated_set.AnnotatedSet` and :class:`lgnet_core.data.hic.HIC`."""

    faults: ImageFaults

    def __len__(self) -> int: ...
    def read(self, indices: Sequence[int], size: int) -> LoadedCrops | None: ...
    def hand_type(self, indices: Sequence[int]) -> FloatArray: ...
    def sequence_and_frame(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]: ...
    def skipped(self) -> dict[str, int]: ...


class AnnotatedImages:
    """An annotated data set; categories follow its hand types: both hands are interacting, one is single.

    Args:
        dataset: the data set. hand_model, name, metadata: see
            :class:`lgnet_core.evaluation.datasets.base.EvaluationImages`.
    """

    size = None

    def __init__(
        self, dataset: AnnotatedDataset, hand_model: HandLayer | None, name: str, metadata: dict[str, Any]
    ) -> None:
        self.set, self.hand_model, self.name, self.metadata = dataset, hand_model, name, metadata

    def __len__(self) -> int:
        return len(self.set)

    def read(self, indices: Tensor, size: int) -> LabelledImages | None:
        read = self.set.read(indices.tolist(), size)
        if read is None:
            return None
        interacting = torch.from_numpy(self.set.hand_type(read.indices) == INTERACTING)
        pair, single = (CATEGORIES.index(category) for category in (Category.INTERACTING, Category.SINGLE))
        sequence, frame = self.set.sequence_and_frame(read.indices)
        return LabelledImages(read.batch, torch.where(interacting, pair, single), read.truth, sequence, frame)
