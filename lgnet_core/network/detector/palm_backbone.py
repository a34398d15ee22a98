"""Backbone of MediaPipe's palm detector: feature maps of the whole image at strides 8 and 16.

Sources: Zhang et al. 2020, "MediaPipe Hands"; the layers of ``palm_detection_full.tflite`` and ``_lite.tflite`` in the
wheel of MediaPipe 0.10.21 (Apache-2.0). The heads are in :mod:`lgnet_core.network.detector.palm_detector`.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_core.network.backbones.efficientnet import SameConv2d
from lgnet_core.network.pretrained import Variant

BLOCKS: dict[Variant, int] = {"full": 4, "lite": 3}
"""Blocks at each stride, without the strided one."""


class PalmBlock(nn.Module):
    """Residual block of a depthwise 5x5 and a 1x1 convolution.

    The shortcut is max-pooled at stride 2 and zero-padded to additional channels.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.extra_channels = stride, out_channels - in_channels
        self.depthwise = SameConv2d(in_channels, in_channels, 5, stride, groups=in_channels)
        self.project = nn.Conv2d(in_channels, out_channels, 1)
        self.act = nn.PReLU(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(x))
        if self.stride > 1:
            x = F.max_pool2d(x, 2)
        if self.extra_channels:
            x = F.pad(x, (0, 0, 0, 0, 0, self.extra_channels))
        return self.act(x + y)


class TopDownBlock(nn.Module):
    """Feature-pyramid step: upsample the coarser map, reduce its channels, add it to the finer map, two blocks."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(in_channels, channels, 1)
        self.act = nn.PReLU(channels)
        self.blocks = nn.Sequential(PalmBlock(channels, channels), PalmBlock(channels, channels))

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        coarse = F.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.blocks(fine + self.act(self.narrow(coarse)))


class PalmBackbone(nn.Module):
    """Feature pyramid with maps at strides 8 and 16.

    Shapes:
        image (B, 3, S, S) RGB in [0, 1], S a multiple of 32 -> (B, 128, S / 8, S / 8), (B, 256, S / 16, S / 16).
    """

    channels = 128
    coarse_channels = 256

    def __init__(self, variant: Variant = "full") -> None:
        super().__init__()
        blocks = BLOCKS[variant]
        self.stem = nn.Conv2d(3, 32, 5, stride=2)
        self.stem_act = nn.PReLU(32)
        self.stride2 = nn.Sequential(*(PalmBlock(32, 32) for _ in range(blocks)))
        self.stride4 = _stage(32, 64, blocks)
        self.stride8 = _stage(64, 128, blocks)
        self.stride16 = _stage(128, 256, blocks)
        self.stride32 = _stage(256, 256, blocks)
        self.up16 = TopDownBlock(256, self.coarse_channels)
        self.up8 = TopDownBlock(256, self.channels)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stem_act(self.stem(F.pad(image, (1, 2, 1, 2))))  # TensorFlow's "same" padding
        stride8 = self.stride8(self.stride4(self.stride2(x)))
        stride16 = self.stride16(stride8)
        coarse = self.up16(self.stride32(stride16), stride16)
        return self.up8(coarse, stride8), coarse


def _stage(in_channels: int, channels: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(PalmBlock(in_channels, channels, 2), *(PalmBlock(channels, channels) for _ in range(blocks)))
