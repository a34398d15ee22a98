"""Initial weights of a training, and the parts of the network that it freezes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import nn

from lgnet_core.hand_model import HandLayer
from lgnet_core.network import (
    HandLGNet,
    HandLGNetConfig,
    HandsNetwork,
    LGNetConfig,
    build_network,
    load_pretrained,
)
from lgnet_core.network.baselines.intershape import InterShape
from lgnet_core.network.checkpoint import load_network
from lgnet_core.network.detector.hand_landmark import load_hand_landmark_net
from lgnet_core.training.losses.config import AUXILIARY, FORMER_LOSS_NAMES
from lgnet_core.training.train_config import TrainConfig

BACKBONE_SUFFIXES = (".pth", ".pt")
"""Suffixes of files with the weights of a backbone alone, such as torchvision's."""


def initial_network(config: TrainConfig, hand_model: HandLayer, resumed: bool = False) -> HandsNetwork:
    """Network with its initial weights.

    Args:
        resumed: skip the initial weights, because a checkpoint will replace them.
    """
    network = build_network(config.network(), hand_model)
    if resumed or config.initial == "random":
        return network
    is_backbone_file = Path(config.initial).suffix in BACKBONE_SUFFIXES
    if isinstance(network, HandLGNet) and config.initial == "pretrained":
        network.landmarker.load_state_dict(load_hand_landmark_net().state_dict())
        return network
    if config.initial == "pretrained" or is_backbone_file:
        for backbone in network.backbones():
            load_pretrained(backbone, config.initial if is_backbone_file else None)
        return network
    trained, metadata = load_network(config.initial, hand_model)
    losses = str(metadata.get("losses"))
    if config.freeze_heatmaps and FORMER_LOSS_NAMES.get(losses, losses) == AUXILIARY:
        raise ValueError(
            f"{config.initial}: was trained with the losses {AUXILIARY}, which do not train the heatmap network; train "
            "it first with the losses heatmaps"
        )
    kinds = (LGNetConfig, HandLGNetConfig)
    if isinstance(network.config, kinds) and trained.config == replace(network.config, refine_stage=False):
        network.load_state_dict({**network.state_dict(), **trained.state_dict()})
        return network
    if trained.config != network.config:
        raise ValueError(
            f"{config.initial}: contains another network ({trained.config}) than --preset {config.preset}; use the "
            "preset it was trained with"
        )
    return trained.train()


def frozen_parts(config: TrainConfig, network: HandsNetwork) -> list[nn.Module]:
    """Parts of the network that are not trained."""
    if config.freeze_backbone and isinstance(network, HandLGNet):
        return network.landmarker.encoder.middle_layers() if config.train_deep else [network.landmarker]
    backbones = network.backbones() if config.freeze_early else ()
    early = [layer for backbone in backbones for layer in backbone.early_layers()]
    return [*early, network.heatmap_net] if config.freeze_heatmaps and isinstance(network, InterShape) else early
