"""Auxiliary supervision of the backbone: linear heads that predict the labels of both hands from its pooled features.

Handedness and palm orientation are the last things a network learns here. Trained through the stages only, the network
had not begun to learn them after 25,000 images (54 % of single hands on the correct side), whereas a linear head on the
backbone reached 61 % after 13,000 single hands. The heads are trained together with the backbone (loss preset
``auxiliary``) and never exported.

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

RELATIVE_TRANSLATION_WEIGHT = 5.0
"""Weight of one metre of relative translation; half an image of joint error and one rotation entry have weight 1."""


class AuxiliaryPrediction(NamedTuple):
    """Outputs of the linear heads.

    Shapes:
        presence_logits: (B, 2); rotations: (B, 2, 16, 3, 3); joints: (B, 2, 21, 3) as (u, v, d) in [-1, 1] across the
        crop and the depth box; relative_translation: (B, 3) metres.
    """

    presence_logits: Tensor
    rotations: Tensor
    joints: Tensor
    relative_translation: Tensor


class AuxiliaryHeads(nn.Module):
    """Linear heads on globally pooled features.

    Shapes: deep (B, channels, G, G), the backbone's deepest map -> :class:`AuxiliaryPrediction`.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.presence = nn.Linear(channels, 2)
        self.rotations = nn.Linear(channels, 2 * NUM_MANO_JOINTS * 6)
        self.joints = nn.Linear(channels, 2 * NUM_KEYPOINTS * 3)
        self.relative_translation = nn.Linear(channels, 3)

    def forward(self, deep: Tensor) -> AuxiliaryPrediction:
        pooled = deep.float().mean((-2, -1))
        return AuxiliaryPrediction(
            self.presence(pooled),
            rotation_from_6d(self.rotations(pooled).unflatten(1, (2, NUM_MANO_JOINTS, 6))),
            self.joints(pooled).unflatten(1, (2, NUM_KEYPOINTS, 3)),
            self.relative_translation(pooled),
        )


def auxiliary_loss(prediction: AuxiliaryPrediction, batch: HandsBatch, labels: HandsLabels, depth_box: float) -> Tensor:
    """Sum of the terms, each of which is about 1 at initialisation."""
    joints, inside = grid_target(batch, labels, depth_box)
    translation = relative_translation_loss(
        prediction.relative_translation, labels.relative_translation, batch.presence.all(1)
    )
    return torch.stack(
        [
            F.binary_cross_entropy_with_logits(prediction.presence_logits, batch.presence.float()),
            rotation_loss(prediction.rotations, batch.rotations, batch.presence),
            masked_mean((prediction.joints - joints).abs(), inside),
            RELATIVE_TRANSLATION_WEIGHT * translation,
        ]
    ).sum()
