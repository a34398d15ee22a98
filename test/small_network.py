"""A network small enough for tests, with every part at work."""

from __future__ import annotations

import torch

from lgnet_core.hand_model import HandModel
from lgnet_core.network import LGNet, LGNetConfig, build_network

SMALL = LGNetConfig(backbone="efficientnet_lite0", channels=16, self_joint_depth=1)


def small_network(hand_model: HandModel, seed: int = 0, config: LGNetConfig | str = SMALL) -> LGNet:
    """Random weights; parts that start at zero, as the refine stage's offsets do, are made to matter."""
    torch.manual_seed(seed)
    network = build_network(config, hand_model)
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.05)
    return network.eval()
