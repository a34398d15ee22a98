"""LGBlock: local and global interaction of the two hands' maps (LGNet section III-B, eqs 7-10, Algorithm 2)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from lgnet_core.hand_model import MeshGraph
from lgnet_core.network.config import LGNetConfig
from lgnet_core.network.layers import PerHand
from lgnet_core.network.lgnet.attention import LGFA
from lgnet_core.network.lgnet.local_graph import GridLocalGraph, MeshLocalGraph
from lgnet_core.types import Side


class LGBlock(nn.Module):
    r"""Local and global interaction of both hands.

    .. math::
        F_{local} &= \mathrm{LGFA}_{local}(F'_R, F'_L), \quad F_{ih} = \mathrm{LGFA}_h(F_h, F_{local}) \\
        F_{global} &= \mathrm{LGFA}_{global}(F_{iR}, F_{iL}), \quad F^*_h = [F_h \mid W F_{global}]

    with F' the maps after the local graph and W a linear layer per cell from c to c / 4.

    Shapes:
        backbone_map: (B, C_32, H, W); features: (B, 2, c, H, W), the F_h; returns (B, 2, c + c / 4, H, W), the F*_h.
    """

    def __init__(self, config: LGNetConfig, backbone_channels: int, mesh_graph: MeshGraph) -> None:
        super().__init__()
        channels = config.channels
        self.local_graph = None
        if config.local_unit and config.local_graph == "mesh63":
            self.local_graph = PerHand(
                lambda: MeshLocalGraph(backbone_channels, channels, config.graph_layer, mesh_graph.coarse)
            )
        elif config.local_unit and config.local_graph == "grid":
            self.local_graph = PerHand(lambda: GridLocalGraph(channels, config.graph_layer))
        self.lgfa_local = LGFA(channels, config.lgfa) if config.local_unit else None
        self.lgfa_hand = PerHand(lambda: LGFA(channels, config.lgfa)) if config.local_unit else None
        self.lgfa_global = LGFA(channels, config.lgfa) if config.global_unit else None
        self.compress = nn.Conv2d(channels, channels // 4, 1)

    def lgfa_modules(self) -> dict[str, tuple[LGFA, str, str]]:
        """Its LGFA modules by name, with descriptions of their two input maps."""
        modules = {}
        if self.lgfa_local is not None and self.lgfa_hand is not None:
            modules["local"] = (self.lgfa_local, "right hand's map", "left hand's map")
            for side in Side:
                module = cast(LGFA, self.lgfa_hand[side])
                modules[f"{side.label} hand"] = (module, "its own map", "local feature")
        if self.lgfa_global is not None:
            modules["global"] = (self.lgfa_global, "right hand's map", "left hand's map")
        return modules

    def forward(self, backbone_map: Tensor, features: Tensor) -> Tensor:
        interacted = features
        if self.lgfa_local is not None and self.lgfa_hand is not None:
            structured = features
            if self.local_graph is not None:
                mean = backbone_map.mean((-2, -1))[:, None].expand(-1, 2, -1)
                structured = self.local_graph(mean, features)
            local = self.lgfa_local(structured[:, 0], structured[:, 1])
            interacted = self.lgfa_hand(features, local[:, None].expand_as(features))
        if self.lgfa_global is not None:
            common = self.compress(self.lgfa_global(interacted[:, 0], interacted[:, 1]))
            added = common[:, None].expand(-1, 2, -1, -1, -1)
        else:
            added = self.compress(interacted.flatten(0, 1)).unflatten(0, features.shape[:2])
        return torch.cat([features, added], 2)
