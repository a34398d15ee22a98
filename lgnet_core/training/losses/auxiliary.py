"""Direct supervision of the backbone: linear maps from its mean feature to what the labels say of both hands.

Telling right from left and palm from back is what a network learns last here. Through the stages it had not begun to
after 25,000 images (54 % of single hands had the right side), while a linear map from the backbone had 61 % after
13,000 single hands. These heads go along with a training (or before it, loss preset ``direct``) and are never exported.

Source: Lee et al. 2015, "Deeply-Supervised Nets".
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_core.data.sample import HandsBatch, HandsLabels
from lgnet_core.hand_model.asset import NUM_MANO_JOINTS
from lgnet_core.network.lgnet.mesh_stage import rotation_from_6d
from lgnet_core.training.losses.terms import grid_target, masked_mean, relative_translation_loss, rotation_loss
from lgnet_core.types import NUM_KEYPOINTS

RELATIVE_SCALE = 5.0
"""Weight of an error of a metre in the relative translation, beside 1 for half an image and for a matrix entry."""


class AuxiliaryPrediction(NamedTuple):
    """What the linear maps say.

    Shapes:
        presence_logits: (B, 2); rotations: (B, 2, 16, 3, 3); joints: (B, 2, 21, 3) as (u, v, d) in [-1, 1] across the
        crop and the depth box; relative_translation: (B, 3) metres.
    """

    presence_logits: Tensor
    rotations: Tensor
    joints: Tensor
    relative_translation: Tensor


class AuxiliaryHeads(nn.Module):
    """Shapes: deep (B, channels, G, G), the backbone's map -> :class:`AuxiliaryPrediction`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.presence = nn.Linear(channels, 2)
        self.rotations = nn.Linear(channels, 2 * NUM_MANO_JOINTS * 6)
        self.joints = nn.Linear(channels, 2 * NUM_KEYPOINTS * 3)
        self.relative_translation = nn.Linear(channels, 3)

    def forward(self, deep: Tensor) -> AuxiliaryPrediction:
        mean = deep.float().mean((-2, -1))
        return AuxiliaryPrediction(
            self.presence(mean),
            rotation_from_6d(self.rotations(mean).unflatten(1, (2, NUM_MANO_JOINTS, 6))),
            self.joints(mean).unflatten(1, (2, NUM_KEYPOINTS, 3)),
            self.relative_translation(mean),
        )


def auxiliary_loss(guess: AuxiliaryPrediction, batch: HandsBatch, labels: HandsLabels, depth_box: float) -> Tensor:
    """Sum of the terms, all about 1 at the start."""
    joints, inside = grid_target(batch, labels, depth_box)
    return torch.stack(
        [
            F.binary_cross_entropy_with_logits(guess.presence_logits, batch.presence.float()),
            rotation_loss(guess.rotations, batch.rotations, batch.presence),
            masked_mean((guess.joints - joints).abs(), inside),
            RELATIVE_SCALE
            * relative_translation_loss(guess.relative_translation, labels.relative_translation, batch.presence.all(1)),
        ]
    ).sum()
