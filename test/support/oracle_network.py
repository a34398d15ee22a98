"""Networks without layers whose predictions are known: the ground truth, or a modification of it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lgnet_core.data.sample import HandsBatch
from lgnet_core.evaluation.datasets.base import LabelledImages
from lgnet_core.evaluation.datasets.synthetic import category_of_interaction
from lgnet_core.geometry.coordinates import pixels_to_grid
from lgnet_core.hand_model import HandModel
from lgnet_core.network import HandsPrediction
from lgnet_core.synthetic.generator import SyntheticHands

STD = 0.004
"""Metres: standard deviation of the perfect prediction."""


def perfect_prediction(batch: HandsBatch, hand_model: HandModel) -> HandsPrediction:
    """The ground truth as a prediction."""
    labels, root, size = batch.labels(hand_model), batch.wrist[:, :, None], batch.image.shape[-1]
    cells = pixels_to_grid(labels.joints_2d, size, size // 32)
    joints, vertices = labels.joints - root, labels.vertices - root
    return HandsPrediction(
        joints_grid=torch.cat([cells, torch.zeros_like(cells[..., :1])], -1),
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


class SmallDataset:
    """Synthetic crops as an evaluation data set.

    Attributes:
        batches_read: the batches that were read, newest last.
    """

    name = "a small set"

    def __init__(self, hand_model: HandModel, count: int = 24, size: int = 64, seed: int = 77) -> None:
        generator, self.size, self.hand_model = SyntheticHands(seed, hand_model), size, hand_model
        indices = torch.arange(count)
        self.batch, self.category = (
            generator.crops(indices, size),
            category_of_interaction(generator.scene_kinds(indices)),
        )
        self.metadata = {"seed": seed}
        self.batches_read: list[HandsBatch] = []

    def __len__(self) -> int:
        return len(self.batch)

    def read(self, indices: Tensor, size: int) -> LabelledImages:
        assert size == self.size
        self.batches_read.append(self.batch[indices])
        return LabelledImages.stills(self.batches_read[-1], self.category[indices], self.hand_model)


Change = Callable[[HandsPrediction], HandsPrediction]


class OracleNetwork(nn.Module):
    """Predicts the ground truth of the batch that was read last, modified by ``change``."""

    def __init__(
        self, images: SmallDataset, hand_model: HandModel, change: Change = lambda prediction: prediction
    ) -> None:
        super().__init__()
        self.hand_model, self.images, self.change = hand_model, images, change
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, image: Tensor, intrinsics: Tensor) -> HandsPrediction:
        return self.change(perfect_prediction(self.images.batches_read[-1], self.hand_model))
