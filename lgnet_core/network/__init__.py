"""LGNet and everything it is made of: presets, backbones, attention, graphs, the three stages."""

from lgnet_core.network.backbone import load_imagenet_weights
from lgnet_core.network.config import PRESETS, LGNetConfig, find_config
from lgnet_core.network.lgnet import LGNet, build_network
from lgnet_core.network.prediction import HandsPrediction

__all__ = [
    "PRESETS",
    "HandsPrediction",
    "LGNet",
    "LGNetConfig",
    "build_network",
    "find_config",
    "load_imagenet_weights",
]
