"""Build a network from a configuration or a preset name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lgnet_core.hand_model import HandLayer, HandModel
from lgnet_core.network.baselines.eanet import EANet
from lgnet_core.network.baselines.intershape import InterShape
from lgnet_core.network.config import NetworkConfig, find_config
from lgnet_core.network.hands_network import HandsNetwork
from lgnet_core.network.lgnet.lgnet import LGNet
from lgnet_core.network.per_hand.lgnet import HandLGNet

_NETWORKS: dict[str, Callable[[Any, HandLayer], HandsNetwork]] = {
    "lgnet": LGNet,
    "lgnet-hand": HandLGNet,
    "eanet": EANet,
    "intershape": InterShape,
}
"""Network class for each configuration ``kind``."""


def build_network(config: NetworkConfig | str, hand_model: HandModel) -> HandsNetwork:
    """Build a network with random weights.

    Args:
        config: a configuration, or a preset name; see :func:`lgnet_core.network.find_config`.
    """
    config = find_config(config) if isinstance(config, str) else config
    return _NETWORKS[config.kind](config, HandLayer.of(hand_model))
