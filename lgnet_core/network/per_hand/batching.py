"""From both hands of images to hands one by one, as HandStages takes them, and back."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lgnet_core.network.per_hand.stages import HandStages
from lgnet_core.network.prediction import HandsPrediction, StackedHands
from lgnet_core.types import Side

ABSENT_LOGIT = -20.0
"""Presence of a hand that no crop was given for."""


class HandFeatures(NamedTuple):
    """What the landmark network sees in the crops of both hands, as far as it matters afterwards.

    Shapes:
        as :class:`~lgnet_core.network.detector.hand_landmark.HandLandmarks`, with an axis of length 2, the side, after
        the batch's: (B, 2, ...).
    """

    early: Tensor
    middle: Tensor
    deep: Tensor
    landmarks: Tensor
    world_landmarks: Tensor
    presence_logits: Tensor
    side_logits: Tensor


def predict_both(
    stages: HandStages, features: HandFeatures, intrinsics: Tensor, frames: Tensor, given: Tensor
) -> HandsPrediction:
    """Both hands of each image, by :class:`HandStages`.

    Args:
        given: 1 where there is a crop, else 0; the other inputs then have no influence on the hand that is given, but
            must be finite, and what is predicted has no meaning.
        The rest: as :class:`HandStages` takes them.

    Shapes:
        intrinsics, frames: (B, 2, 3, 3); given: (B, 2).
    """
    rows = torch.arange(given.numel(), device=given.device).view_as(given)
    both = (given > 0).all(1, keepdim=True)
    other = torch.where(both, rows.flip(1), rows).flatten()
    inputs = (x.flatten(0, 1) for x in (*features[:5], intrinsics, frames))
    hands = StackedHands(*(x.unflatten(0, given.shape) for x in stages(*inputs, other)))
    own = hands._asdict()
    to_other = own.pop("to_other")
    return HandsPrediction(
        **own,
        presence_logits=torch.where(given > 0, features.presence_logits, ABSENT_LOGIT).to(to_other.dtype),
        relative_translation=relative_translation(to_other),
    )


def relative_translation(to_other: Tensor) -> Tensor:
    """wrist_left - wrist_right: the mean of what each hand's view gives. Shapes: (..., 2, 3) -> (..., 3)."""
    return (to_other[..., Side.RIGHT, :] - to_other[..., Side.LEFT, :]) / 2
