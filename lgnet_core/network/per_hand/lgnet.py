"""LGNet with one upright crop per hand: the hand-landmark network, and LGNet's stages over both hands."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from lgnet_core.geometry.camera import virtual_intrinsics
from lgnet_core.hand_model import HandLayer
from lgnet_core.network.attention_maps import AttentionMap
from lgnet_core.network.backbones.factory import Backbone
from lgnet_core.network.config import HandLGNetConfig
from lgnet_core.network.detector.hand_landmark import HandLandmarkNet
from lgnet_core.network.exportable import ExportableModule
from lgnet_core.network.hands_network import HandsNetwork
from lgnet_core.network.lgnet.attention import record_lgfa_attention
from lgnet_core.network.per_hand.batching import predict_both
from lgnet_core.network.per_hand.stages import HandStages
from lgnet_core.network.prediction import HAND_CROP_SIZE, HandLandmarks, HandsPrediction, IntermediateOutputs


class HandLGNet(HandsNetwork):
    """LGNet on separate crops of both hands.

    For inference its two parts, :attr:`landmarker` and :attr:`stages`, run separately, since the landmarks determine
    which crops are passed to the stages.

    Args:
        config: sizes and switches.
        hand_model: of both hands; the left one must be the mirror image of the right one.
    """

    INPUTS = ("images", "intrinsics", "frames", "given")
    config: HandLGNetConfig

    def __init__(self, config: HandLGNetConfig, hand_model: HandLayer) -> None:
        super().__init__(config, hand_model)
        self.landmarker = HandLandmarkNet()
        encoder = self.landmarker.encoder
        self.stages = HandStages(
            config, encoder.early_channels, encoder.middle_channels[-1], encoder.deep_channels, hand_model
        )

    def forward_intermediates(  # type: ignore[override]
        self, images: Tensor, intrinsics: Tensor, frames: Tensor, present: Tensor
    ) -> tuple[HandsPrediction, IntermediateOutputs | None]:
        """Predict both hands.

        Args:
            images: crops, RGB in [0, 1], left hands mirrored. intrinsics, frames, present: see :func:`predict_both`.

        Shapes:
            images: (B, 2, 3, 224, 224); intrinsics, frames: (B, 2, 3, 3); present: (B, 2).
        """
        prediction, _ = predict_both(self.stages, self.encode(images, present), intrinsics, frames, present)
        return prediction, None

    def forward(self, images: Tensor, intrinsics: Tensor, frames: Tensor, present: Tensor) -> HandsPrediction:  # type: ignore[override]
        """:meth:`forward_intermediates` without the intermediate outputs."""
        return self.forward_intermediates(images, intrinsics, frames, present)[0]

    def encode(self, images: Tensor, present: Tensor) -> HandLandmarks:
        """Apply the landmark network to the present crops; absent hands get a copy of the other hand's output.

        If an image has no hand at all, it gets the output of another image or of its own empty crop: finite but
        meaningless.

        Args, Shapes: as for :meth:`forward_intermediates`.
        """
        rows, index = _present_rows(present)
        output: HandLandmarks = self.landmarker(images.flatten(0, 1).index_select(0, rows))
        return HandLandmarks(*(_scatter(field, index) for field in output))

    def encode_maps(self, early: Tensor, middle: Tensor, present: Tensor) -> HandLandmarks:
        """:meth:`encode` from cached maps at strides 4 and 16.

        Shapes:
            early, middle: (B, 2, ...), see :class:`HandLandmarks`; present: (B, 2).
        """
        rows, index = _present_rows(present)
        deep = self.landmarker.encoder.forward_deep(middle.flatten(0, 1).index_select(0, rows))
        return HandLandmarks(early, middle, *(_scatter(x, index) for x in (deep, *self.landmarker.heads(deep))))

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
        return record_lgfa_attention({} if lgblock is None else lgblock.lgfa_modules(), partial(self, *inputs))


def _present_rows(present: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of the present crops in the flat batch of B * 2, at least one; and for each hand the index of its crop among
    them, or of the other hand's crop if it is absent: (B, 2).
    """
    rows = present.flatten().nonzero()[:, 0]
    if len(rows) == 0:
        rows = rows.new_zeros(1)
    index = torch.zeros(present.numel(), dtype=torch.long, device=present.device)
    index[rows] = torch.arange(len(rows), device=present.device)
    index = index.view_as(present)
    return rows, torch.where(present > 0, index, torch.where(present.flip(1) > 0, index.flip(1), 0))


def _scatter(values: Tensor, index: Tensor) -> Tensor:
    """Shapes: (N, ...), (B, 2) -> (B, 2, ...)."""
    return values.index_select(0, index.flatten()).unflatten(0, (-1, 2))
