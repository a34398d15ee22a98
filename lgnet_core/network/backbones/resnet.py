"""ResNet-50 backbone (He et al. 2016; stride in the 3x3 convolution, torchvision's parameter names)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Bottleneck(nn.Module):
    """Residual bottleneck of 1x1, 3x3 and 1x1 convolutions; without ``norm``, the convolutions have biases.

    Shapes: (B, C, H, W) -> (B, 4 width, H / stride, W / stride).
    """

    def __init__(self, in_channels: int, width: int, stride: int, norm: bool = True) -> None:
        super().__init__()

        def make_norm(channels: int) -> nn.Module:
            return nn.BatchNorm2d(channels) if norm else nn.Identity()

        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=not norm)
        self.bn1 = make_norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=not norm)
        self.bn2 = make_norm(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=not norm)
        self.bn3 = make_norm(4 * width)
        self.downsample = None
        if stride != 1 or in_channels != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, 4 * width, 1, stride, bias=not norm), make_norm(4 * width)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.relu(self.bn3(self.conv3(y)) + shortcut)


def add_input_channels(backbone: nn.Module, names: tuple[str, ...], channels: int) -> None:
    """Replace 1x1 convolutions, given by name, by new ones with ``channels`` additional input channels."""
    for name in names if channels else ():
        parent, _, child = name.rpartition(".")
        conv = backbone.get_submodule(name)
        assert isinstance(conv, nn.Conv2d)
        wider = nn.Conv2d(conv.in_channels + channels, conv.out_channels, 1, conv.stride[0], bias=False)
        setattr(backbone.get_submodule(parent), child, wider)


class ResNet50(nn.Module):
    """ResNet-50 without its classifier; normalises its input with ImageNet's mean and standard deviation."""

    early_channels = 256
    middle_channels = (512, 1024)
    deep_channels = 2048
    STRIDE8_CONSUMERS = ("layer3.0.conv1", "layer3.0.downsample.0")
    """Convolutions whose input is the stride-8 map."""
    mean: Tensor
    std: Tensor

    def __init__(self, extra_channels: int = 0) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = self._layer(64, 64, 3, 1)
        self.layer2 = self._layer(256, 128, 4, 2)
        self.layer3 = self._layer(512, 256, 6, 2)
        self.layer4 = self._layer(1024, 512, 3, 2)
        add_input_channels(self, self.STRIDE8_CONSUMERS, extra_channels)
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
        """Layers with parameters up to the stride-4 map."""
        return [self.conv1, self.bn1, self.layer1]

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        early, _, _, deep = self.maps(image)
        return early, deep

    def maps(self, image: Tensor, extra: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Maps at strides 4, 8, 16 and 32; see :mod:`lgnet_core.network.backbones`."""
        x = F.relu(self.bn1(self.conv1((image - self.mean) / self.std)), inplace=True)
        stride4 = self.layer1(F.max_pool2d(x, 3, 2, 1))
        stride8 = self.layer2(stride4)
        stride16 = self.layer3(stride8 if extra is None else torch.cat([stride8, extra], 1))
        return stride4, stride8, stride16, self.layer4(stride16)

    @staticmethod
    def rename_imagenet(state: dict[str, Tensor]) -> dict[str, Tensor]:
        """torchvision's state dict without the classifier."""
        return {name: value for name, value in state.items() if not name.startswith("fc.")}
