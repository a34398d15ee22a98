"""Networks without layers, whose answers are known: the truth, or the truth changed by hand."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lgnet_core.data.sample import HandsBatch
from lgnet_core.evaluation.image_sets import Labelled, category_of_kind
from lgnet_core.geometry.camera import pixels_to_grid
from lgnet_core.hand_model import HandModel
from lgnet_core.network import HandsPrediction
from lgnet_core.synthetic.generator import SyntheticHands

STD = 0.004
"""Metres: what the perfect prediction says of itself."""


def perfect(batch: HandsBatch, hand_model: HandModel) -> HandsPrediction:
    """The truth as a prediction."""
    labels, root, size = batch.labels(hand_model), batch.wrist[:, :, None], batch.image.shape[-1]
    places = pixels_to_grid(labels.joints_2d, size, size // 32)
    joints, vertices = labels.joints - root, labels.vertices - root
    return HandsPrediction(
        joints_grid=torch.cat([places, torch.zeros_like(places[..., :1])], -1),
        joint_log_variance=torch.full_like(joints[..., 0], STD).square().log(),
        presence_logits=torch.where(batch.presence, 3.0, -3.0),
        rotations=batch.rotations,
        shape=batch.shape,
        camera=torch.zeros_like(batch.wrist),
        rough_vertices=vertices,
        rough_joints=joints,
        vertices=vertices,
        joints=joints,
        relative_translation=labels.relative_translation,
    )


class SmallSet:
    """Synthetic crops as a set to be evaluated.

    Attributes:
        asked: the batches that were read, newest last.
    """

    name = "a small set"

    def __init__(self, hand_model: HandModel, count: int = 24, size: int = 64, seed: int = 77) -> None:
        generator, self.size, self.hand_model = SyntheticHands(seed, hand_model), size, hand_model
        indices = torch.arange(count)
        self.batch, self.category = generator.crops(indices, size), category_of_kind(generator.kinds(indices))
        self.metadata = {"seed": seed}
        self.asked: list[HandsBatch] = []

    def __len__(self) -> int:
        return len(self.batch)

    def read(self, indices: Tensor, size: int) -> Labelled:
        assert size == self.size
        self.asked.append(self.batch[indices])
        return Labelled.stills(self.asked[-1], self.category[indices], self.hand_model)


Change = Callable[[HandsPrediction], HandsPrediction]


class KnowingNetwork(nn.Module):
    """Says the truth of the batch that was read last, changed by ``change``."""

    def __init__(self, images: SmallSet, hand_model: HandModel, change: Change = lambda said: said) -> None:
        super().__init__()
        self.hand_model, self.images, self.change = hand_model, images, change
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, image: Tensor, intrinsics: Tensor) -> HandsPrediction:
        return self.change(perfect(self.images.asked[-1], self.hand_model))
