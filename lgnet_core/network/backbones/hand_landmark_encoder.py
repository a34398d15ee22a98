"""Encoder of MediaPipe's hand-landmark network, full and lite (Zhang et al. 2020, "MediaPipe Hands")."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_core.network.backbones.efficientnet import InvertedResidualNet, SameConv2d, batch_norm


class HandLandmarkEncoder(InvertedResidualNet):
    """Encoder of the full hand-landmark network, up to its global average pooling.

    EfficientNet-Lite0 with narrower first stages, whose head is an expansion and a depthwise convolution without
    projection. Its native input is an image of one upright hand, 224 x 224, RGB in [0, 1].
    """

    deep_channels = 1152
    STEM_CHANNELS = 24
    STAGES = (
        (1, 16, 1, 1, 3),
        (4, 24, 1, 2, 3),
        (6, 24, 1, 1, 3),
        (6, 40, 2, 2, 5),
        (6, 80, 3, 2, 3),
        (6, 112, 3, 1, 5),
        (6, 192, 4, 2, 5),
    )

    def _add_head(self, channels: int) -> None:
        self.expand = nn.Conv2d(channels, self.deep_channels, 1, bias=False)
        self.expand_norm = batch_norm(self.deep_channels)
        self.depthwise = SameConv2d(self.deep_channels, self.deep_channels, 3, groups=self.deep_channels)
        self.depthwise_norm = batch_norm(self.deep_channels)

    def _forward_head(self, x: Tensor) -> Tensor:
        y = F.relu6(self.expand_norm(self.expand(x)), inplace=True)
        return F.relu6(self.depthwise_norm(self.depthwise(y)), inplace=True)

    @staticmethod
    def normalise(image: Tensor) -> Tensor:
        """The input range is [0, 1] already."""
        return image


class HandLandmarkEncoderLite(HandLandmarkEncoder):
    """Encoder of the lite hand-landmark network: as many layers, about half as wide."""

    early_channels = 16
    middle_channels = (24, 64)
    deep_channels = 672
    STAGES = (
        (1, 16, 1, 1, 3),
        (4, 16, 1, 2, 3),
        (6, 16, 1, 1, 3),
        (6, 24, 2, 2, 5),
        (6, 48, 3, 2, 3),
        (6, 64, 3, 1, 5),
        (6, 112, 4, 2, 5),
    )
