"""LGNet, its per-hand variant, and the baseline networks EANet and InterShape."""

from lgnet_core.network.attention_maps import AttentionMap
from lgnet_core.network.backbones.factory import load_pretrained
from lgnet_core.network.config import (
    CONFIGS,
    PRESETS,
    HandLGNetConfig,
    LGNetConfig,
    NetworkConfig,
    find_config,
    preset_names,
)
from lgnet_core.network.factory import build_network
from lgnet_core.network.hands_network import HandsNetwork
from lgnet_core.network.lgnet.lgnet import LGNet
from lgnet_core.network.per_hand.lgnet import HandLGNet
from lgnet_core.network.prediction import HandsPrediction, IntermediateOutputs

__all__ = [
    "CONFIGS",
    "PRESETS",
    "AttentionMap",
    "HandLGNet",
    "HandLGNetConfig",
    "HandsNetwork",
    "HandsPrediction",
    "IntermediateOutputs",
    "LGNet",
    "LGNetConfig",
    "NetworkConfig",
    "build_network",
    "find_config",
    "load_pretrained",
    "preset_names",
]
