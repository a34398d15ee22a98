"""LGNet, the networks it is compared with, and everything they are made of."""

from lgnet_core.network.backbone import load_pretrained
from lgnet_core.network.build import build_network
from lgnet_core.network.config import (
    CONFIGS,
    PRESETS,
    HandLGNetConfig,
    LGNetConfig,
    NetworkConfig,
    find_config,
    preset_names,
)
from lgnet_core.network.hand_lgnet import HandLGNet
from lgnet_core.network.hands_network import HandsNetwork
from lgnet_core.network.lgnet import LGNet
from lgnet_core.network.looking import LookedAt
from lgnet_core.network.prediction import Cascade, HandsPrediction

__all__ = [
    "CONFIGS",
    "PRESETS",
    "Cascade",
    "HandLGNet",
    "HandLGNetConfig",
    "HandsNetwork",
    "HandsPrediction",
    "LGNet",
    "LGNetConfig",
    "LookedAt",
    "NetworkConfig",
    "build_network",
    "find_config",
    "load_pretrained",
    "preset_names",
]
