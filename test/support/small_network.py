"""Small networks for tests, with every part active."""

from __future__ import annotations

import torch

from lgnet_core.geometry.camera import virtual_intrinsics
from lgnet_core.hand_model import HandModel
from lgnet_core.network import HandsNetwork, LGNetConfig, NetworkConfig, build_network

SMALL = LGNetConfig(backbone="efficientnet_lite0", channels=16, self_joint_depth=1)


def crops(batch: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random crops and the default intrinsics of uncalibrated images: (B, 3, S, S) and (B, 3, 3)."""
    intrinsics = torch.from_numpy(virtual_intrinsics(size)).float()
    return torch.rand(batch, 3, size, size), intrinsics.expand(batch, 3, 3)


def small_network(hand_model: HandModel, seed: int = 0, config: NetworkConfig | str = SMALL) -> HandsNetwork:
    """Network with random weights; zero-initialised parameters, such as the refine stage's, are randomised too."""
    torch.manual_seed(seed)
    network = build_network(config, hand_model)
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.05)
    return network.eval()
