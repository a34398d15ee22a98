"""LGNet on one upright crop per hand: the hand-landmark network and LGNet's stages over both hands."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from lgnet_core.geometry.camera import virtual_intrinsics
from lgnet_core.hand_model import HandModel
from lgnet_core.network.attention_maps import AttentionMap
from lgnet_core.network.backbones.efficientnet import Backbone
from lgnet_core.network.config import HandLGNetConfig
from lgnet_core.network.detector.hand_landmark import HAND_CROP_SIZE, HandLandmarkNet, HandLandmarks
from lgnet_core.network.exportable import ExportableModule
from lgnet_core.network.hands_network import HandsNetwork
from lgnet_core.network.lgnet.attention import record_lgfa_attention
from lgnet_core.network.per_hand.batching import HandFeatures, predict_both
from lgnet_core.network.per_hand.stages import HandStages
from lgnet_core.network.prediction import HandsPrediction, IntermediateOutputs


class HandLGNet(HandsNetwork):
    """Crops of both hands to :class:`HandsPrediction`.

    For inference its two parts, :attr:`landmarker` and :attr:`stages`, run one after the other, since the landmarks of
    the first decide which crops the second is given.

    Args:
        config: sizes and switches. hand_model: of both hands.
    """

    INPUTS = ("images", "intrinsics", "frames", "given")
    config: HandLGNetConfig

    def __init__(self, config: HandLGNetConfig, hand_model: HandModel) -> None:
        super().__init__(config, hand_model)
        self.landmarker = HandLandmarkNet()
        encoder = self.landmarker.encoder
        self.stages = HandStages(
            config, encoder.early_channels, encoder.middle_channels[-1], encoder.deep_channels, hand_model
        )

    def forward_intermediates(  # type: ignore[override]
        self, images: Tensor, intrinsics: Tensor, frames: Tensor, given: Tensor
    ) -> tuple[HandsPrediction, IntermediateOutputs | None]:
        """Predict both hands.

        Args:
            images: crops, RGB in [0, 1], left hands mirrored. intrinsics, frames, given: see :func:`predict_both`.

        Shapes:
            images: (B, 2, 3, 224, 224); intrinsics, frames: (B, 2, 3, 3); given: (B, 2).
        """
        return predict_both(self.stages, self.encode(images, given), intrinsics, frames, given), None

    def forward(self, images: Tensor, intrinsics: Tensor, frames: Tensor, given: Tensor) -> HandsPrediction:  # type: ignore[override]
        """:meth:`forward_intermediates` without what only losses look at."""
        return self.forward_intermediates(images, intrinsics, frames, given)[0]

    def encode(self, images: Tensor, given: Tensor) -> HandFeatures:
        """What the landmark network sees; where no crop is given, the other hand's.

        An image without any hand gets another image's features, or those of its own empty crop: finite, without
        meaning.

        Args, Shapes: as :meth:`forward_intermediates`.
        """
        rows, place = _rows(given)
        seen: HandLandmarks = self.landmarker(images.flatten(0, 1).index_select(0, rows))
        return HandFeatures(*(_spread(getattr(seen, name), place) for name in HandFeatures._fields))

    def encode_maps(self, early: Tensor, middle: Tensor, given: Tensor) -> HandFeatures:
        """:meth:`encode` from the encoder's maps at strides 4 and 16.

        Shapes:
            early, middle: (B, 2, ...), see :class:`~lgnet_core.network.detector.hand_landmark.HandLandmarks`; given:
            (B, 2).
        """
        rows, place = _rows(given)
        deep = self.landmarker.encoder.deepen(middle.flatten(0, 1).index_select(0, rows))
        found = (deep, *self.landmarker.heads(deep))
        return HandFeatures(early, middle, *(_spread(x, place) for x in found))

    def example_inputs(self, size: int = HAND_CROP_SIZE) -> tuple[Tensor, ...]:
        images = torch.rand(2, 2, 3, size, size, generator=torch.Generator().manual_seed(0))
        intrinsics = torch.tensor(virtual_intrinsics(HAND_CROP_SIZE), dtype=torch.float32).repeat(2, 2, 1, 1)
        frames = torch.diag_embed(torch.tensor([[1.0, 1, 1], [-1, 1, 1]])).repeat(2, 1, 1, 1)
        return images, intrinsics, frames, torch.ones(2, 2)

    def engine_parts(self) -> dict[str, ExportableModule[Any]]:
        return {"landmarks": self.landmarker, "stages": self.stages}

    def backbones(self) -> tuple[Backbone, ...]:
        return (self.landmarker.encoder,)

    def attention_maps(self, *inputs: Tensor) -> list[AttentionMap]:
        lgblock = self.stages.lgblock
        return record_lgfa_attention({} if lgblock is None else lgblock.parts(), partial(self, *inputs))


def _rows(given: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of the crops (B * 2) that are given, at least one; and for each crop its place among them, that of the other
    hand's where it is not given: (B, 2)."""
    rows = given.flatten().nonzero()[:, 0]
    if len(rows) == 0:
        rows = rows.new_zeros(1)
    place = torch.zeros(given.numel(), dtype=torch.long, device=given.device)
    place[rows] = torch.arange(len(rows), device=given.device)
    place = place.view_as(given)
    return rows, torch.where(given > 0, place, torch.where(given.flip(1) > 0, place.flip(1), 0))


def _spread(values: Tensor, place: Tensor) -> Tensor:
    """Shapes: (N, ...), (B, 2) -> (B, 2, ...)."""
    return values.index_select(0, place.flatten()).unflatten(0, (-1, 2))
