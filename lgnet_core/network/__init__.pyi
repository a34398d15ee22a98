from .attention_maps import AttentionMap
from .backbones.factory import load_pretrained
from .config import (
    CONFIGS,
    PRESETS,
    HandLGNetConfig,
    LGNetConfig,
    NetworkConfig,
    find_config,
    preset_names,
)
from .factory import build_network
from .hands_network import HandsNetwork
from .lgnet.lgnet import LGNet
from .per_hand.lgnet import HandLGNet
from .prediction import HandsPrediction, IntermediateOutputs

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
