"""The body of MediaPipe's palm detector (full, 192 x 192): what a whole picture shows of hands, at stride 8.

Sources: Zhang et al. 2020, "MediaPipe Hands"; layers and weights are those of ``palm_detection_full.tflite`` in the
wheel of MediaPipe 0.10.21 (Apache-2.0). Its own two heads, anchors with seven key points, are left out.
"""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from lgnet_core.network.backbone import SameConv2d

PALM_NET_WEIGHTS = Path(__file__).parents[1] / "weights" / "palm_net.safetensors"
"""Written by tools/read_mediapipe.py."""
_BLOCKS = 4  # at each stride, besides the one that leads there


class PalmBlock(nn.Module):
    """Depthwise 5x5, 1x1 and shortcut. At stride 2 the shortcut is pooled; new channels start from zeros."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.wider = stride, out_channels - in_channels
        self.depthwise = SameConv2d(in_channels, in_channels, 5, stride, groups=in_channels)
        self.project = nn.Conv2d(in_channels, out_channels, 1)
        self.act = nn.PReLU(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(x))
        if self.stride > 1:
            x = F.max_pool2d(x, 2)
        if self.wider:
            x = F.pad(x, (0, 0, 0, 0, 0, self.wider))
        return self.act(x + y)


class Upwards(nn.Module):
    """A map at twice the stride is enlarged, narrowed, added to one at this stride, and both are mixed."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(in_channels, channels, 1)
        self.act = nn.PReLU(channels)
        self.blocks = nn.Sequential(PalmBlock(channels, channels), PalmBlock(channels, channels))

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        coarse = F.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.blocks(fine + self.act(self.narrow(coarse)))


class PalmNet(nn.Module):
    """Shapes: image (B, 3, S, S) in [0, 1], S a multiple of 32 -> (B, 128, S / 8, S / 8)."""

    channels = 128

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 5, stride=2)
        self.stem_act = nn.PReLU(32)
        self.stride2 = nn.Sequential(*(PalmBlock(32, 32) for _ in range(_BLOCKS)))
        self.stride4 = _stage(32, 64)
        self.stride8 = _stage(64, 128)
        self.stride16 = _stage(128, 256)
        self.stride32 = _stage(256, 256)
        self.up16 = Upwards(256, 256)
        self.up8 = Upwards(256, 128)

    def early_layers(self) -> list[nn.Module]:
        """What the stride-4 map comes from."""
        return [self.stem, self.stem_act, self.stride2, self.stride4]

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem_act(self.stem(F.pad(image, (1, 2, 1, 2))))  # TensorFlow's "same"
        fine = self.stride8(self.stride4(self.stride2(x)))
        middle = self.stride16(fine)
        return self.up8(self.up16(self.stride32(middle), middle), fine)


def _stage(in_channels: int, channels: int) -> nn.Sequential:
    return nn.Sequential(PalmBlock(in_channels, channels, 2), *(PalmBlock(channels, channels) for _ in range(_BLOCKS)))


def load_palm_net() -> PalmNet:
    """With MediaPipe's weights, to start trainings from."""
    net = PalmNet()
    net.load_state_dict(load_file(PALM_NET_WEIGHTS), strict=True)
    return net
