"""Synthetic evaluation data sets: the frozen held-out set and stored sets, with their image categories."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from lgnet_core.data.augmentation import resize
from lgnet_core.data.sample import HandsBatch, concatenate
from lgnet_core.evaluation.datasets.base import CATEGORIES, Category, LabelledImages
from lgnet_core.hand_model import HandLayer
from lgnet_core.synthetic.camera.crops import need_separate_crops
from lgnet_core.synthetic.held_out import HELD_OUT_IMAGE_SIZE, HeldOutHands
from lgnet_core.synthetic.scene.interactions import SceneKind
from lgnet_core.synthetic.stored import StoredHands


class HeldOutImages:
    """The frozen held-out set; the category is that of the generated scene, even if the crop shows less of it."""

    def __init__(self, hand_model: HandLayer) -> None:
        self._set, self.hand_model = HeldOutHands(hand_model), hand_model
        self.metadata, self.size = self._set.metadata, HELD_OUT_IMAGE_SIZE
        self.name = str(self.metadata["name"])

    def __len__(self) -> int:
        return len(self._set)

    def read(self, indices: Tensor, size: int) -> LabelledImages:
        category = category_of_interaction(self._set.kind[indices])
        return LabelledImages.stills(self._set.batch(indices, size), category, self.hand_model)


class StoredImages:
    """A folder written by ``lgnet synth``; categories are derived from the labels, :func:`category_of_labels`."""

    def __init__(self, directory: Path, hand_model: HandLayer) -> None:
        self._set, self.hand_model = StoredHands(directory, hand_model), hand_model
        self.metadata, self.name = self._set.metadata, str(directory)
        self.size = int(self.metadata["size"])

    def __len__(self) -> int:
        return len(self._set)

    def read(self, indices: Tensor, size: int) -> LabelledImages:
        batch = resize(concatenate([self._set[index] for index in indices.tolist()]), size)
        return LabelledImages.stills(batch, category_of_labels(batch, self.hand_model), self.hand_model)


def category_of_interaction(kind: Tensor) -> Tensor:
    """(B,) index of ``CATEGORIES`` for (B,) :class:`~lgnet_core.synthetic.scene.interactions.SceneKind`."""
    table = torch.full((len(SceneKind),), CATEGORIES.index(Category.INTERACTING))
    table[SceneKind.SEPARATE] = CATEGORIES.index(Category.SEPARATE)
    table[[SceneKind.SINGLE_RIGHT, SceneKind.SINGLE_LEFT]] = CATEGORIES.index(Category.SINGLE)
    table[SceneKind.NONE] = CATEGORIES.index(Category.NONE)
    return table[kind]


def category_of_labels(batch: HandsBatch, hand_model: HandLayer) -> Tensor:
    """Category index (B,) from the present hands; a pair is separate if its hands would be cropped separately."""
    joints = batch.to(hand_model.v_template.device).labels(hand_model).joints_2d.cpu()
    apart = need_separate_crops(joints.amin(2), joints.amax(2))
    hands = batch.presence.sum(1)
    pair = torch.where(apart, CATEGORIES.index(Category.SEPARATE), CATEGORIES.index(Category.INTERACTING))
    fewer_hands = torch.where(hands == 1, CATEGORIES.index(Category.SINGLE), CATEGORIES.index(Category.NONE))
    return torch.where(hands == 2, pair, fewer_hands)
