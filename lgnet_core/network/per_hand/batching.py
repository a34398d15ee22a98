"""Conversion between batches of images with two hands and the flat batches of hands that :class:`HandStages` takes."""

from __future__ import annotations

import torch
from torch import Tensor

from lgnet_core.network.per_hand.stages import HandStages
from lgnet_core.network.prediction import HandLandmarks, HandsPrediction, StackedHands, relative_translation

ABSENT_LOGIT = -20.0
"""Presence logit of a hand without a crop."""


def predict_both(
    stages: HandStages, features: HandLandmarks, intrinsics: Tensor, frames: Tensor, present: Tensor
) -> tuple[HandsPrediction, Tensor]:
    """Predict both hands of each image with :class:`HandStages`.

    Args:
        features: of the crops of both hands, (B, 2, ...).
        intrinsics, frames: as for :class:`HandStages`.
        present: 1 where there is a crop, else 0. Inputs of absent hands do not influence the present ones but must be
            finite; the predictions of absent hands are undefined.

    Shapes:
        intrinsics, frames: (B, 2, 3, 3); present: (B, 2).

    Returns:
        The prediction, and the enhanced maps F*_h (B, 2, c*, 7, 7).
    """
    rows = torch.arange(present.numel(), device=present.device).view_as(present)
    both = (present > 0).all(1, keepdim=True)
    other = torch.where(both, rows.flip(1), rows).flatten()
    stacked, enhanced = stages.forward_intermediates(
        features.early.flatten(0, 1),
        features.middle.flatten(0, 1),
        features.deep.flatten(0, 1),
        features.landmarks.flatten(0, 1),
        features.world_landmarks.flatten(0, 1),
        intrinsics.flatten(0, 1),
        frames.flatten(0, 1),
        other,
    )
    hands = StackedHands(*(x.unflatten(0, present.shape) for x in stacked))
    fields = hands._asdict()
    to_other = fields.pop("to_other")
    prediction = HandsPrediction(
        **fields,
        presence_logits=torch.where(present > 0, features.presence_logits, ABSENT_LOGIT).to(to_other.dtype),
        relative_translation=relative_translation(to_other),
    )
    return prediction, enhanced.unflatten(0, present.shape)
