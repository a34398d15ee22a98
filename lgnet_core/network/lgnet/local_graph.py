"""Graph part of the local unit: graph convolutions within each hand before the two hands interact.

The paper does not specify how the graph's nodes relate to the cells of the map; its three possible readings are
selected by ``local_graph`` in the configuration. Sources: LGNet section III-B, eq. 2, fig. 3; IntagHand (63 nodes,
dense matching encoding).
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_core.hand_model import Graph
from lgnet_core.network.layers import map_to_tokens, static_sizes, tokens_to_map
from lgnet_core.network.lgnet.attention import attend_heads, split_heads
from lgnet_core.network.lgnet.graph import ChebConv, GINConv, GraphBlock, GraphResiduals, NeighbourSum


class GraphStack(nn.Module):
    """Head block, three residual blocks and tail block of the same width. Shapes: (N B, C) -> (N B, C)."""

    def __init__(self, channels: int, layer: str) -> None:
        super().__init__()

        def conv() -> nn.Module:
            return ChebConv(channels, channels) if layer == "chebyshev" else GINConv(channels, channels, channels)

        self.head = GraphBlock(conv(), channels)
        self.residuals = GraphResiduals(conv, channels)
        self.tail = GraphBlock(conv(), channels)

    def forward(self, x: Tensor, neighbour_sum: NeighbourSum) -> Tensor:
        x = self.residuals(self.head(x, neighbour_sum), neighbour_sum)
        return self.tail(x, neighbour_sum)


class MeshLocalGraph(nn.Module):
    """``mesh63``: graph of 63 mesh clusters, injected into the map by cross-attention.

    Node features are [LayerNorm(Linear(mean of F)) | d_i], with d_i the dense matching encoding in [-1, 1]. The cells
    of F_h attend to the output of the graph stack. The output projection is initialised to zero, so the map is
    unchanged at first.

    Args:
        coarse: coarse mesh graph of the hand model, 63 nodes.

    Shapes:
        backbone_mean: (B, C_32); features: (B, c, H, W); returns (B, c, H, W).
    """

    HEADS = 4
    encoding: Tensor

    def __init__(self, backbone_channels: int, channels: int, layer: str, coarse: Graph) -> None:
        super().__init__()
        self.compact = nn.Linear(backbone_channels, channels - 3)
        self.norm = nn.LayerNorm(channels - 3, eps=1e-6)
        self.stack = GraphStack(channels, layer)
        self.neighbour_sum = NeighbourSum(coarse.edge_index, coarse.node_count)
        self.query, self.key, self.value = (nn.Linear(channels, channels) for _ in range(3))
        self.projection = nn.Linear(channels, channels)
        nn.init.zeros_(self.projection.weight)
        nn.init.zeros_(self.projection.bias)
        self.register_buffer("encoding", coarse.encoding.cpu() * 2 - 1, persistent=False)

    def forward(self, backbone_mean: Tensor, features: Tensor) -> Tensor:
        nodes, (channels, height, width) = len(self.encoding), static_sizes(features, 1, 2, 3)
        compact = F.pad(self.norm(self.compact(backbone_mean)), (0, 3))  # (B, c)
        x = compact + F.pad(self.encoding, (channels - 3, 0))[:, None]  # (63, B, c)
        x = self.stack(x.reshape(-1, channels), self.neighbour_sum)
        tokens = map_to_tokens(features).reshape(-1, channels)
        queries = split_heads(self.query(tokens), height * width, self.HEADS)
        keys, values = (
            layer(x).reshape(nodes, -1, self.HEADS, channels // self.HEADS).permute(1, 2, 0, 3)
            for layer in (self.key, self.value)
        )
        attended = self.projection(attend_heads(queries, keys, values).reshape(-1, channels))
        return features + tokens_to_map(attended.reshape(-1, height * width, channels), features)


class GridLocalGraph(nn.Module):
    """``grid``: residual graph stack on the cells of the map, connected to their 8 neighbours.

    Shapes:
        backbone_mean: unused, (B, C_32); features: (B, c, H, W); returns (B, c, H, W).
    """

    def __init__(self, channels: int, layer: str) -> None:
        super().__init__()
        self.stack = GraphStack(channels, layer)

    def forward(self, backbone_mean: Tensor, features: Tensor) -> Tensor:
        lattice = _lattice(features.shape[-2], features.shape[-1], features.device)
        channels, height, width = static_sizes(features, 1, 2, 3)
        x = map_to_tokens(features).transpose(0, 1).reshape(-1, channels)
        x = self.stack(x, lattice).reshape(height * width, -1, channels)
        return features + tokens_to_map(x.transpose(0, 1), features)


@lru_cache
def _lattice(height: int, width: int, device: torch.device) -> NeighbourSum:
    """Graph of the cells of a map, 8-neighbourhood."""
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    cells = torch.stack([row.flatten(), column.flatten()], 1)
    distance = (cells[:, None] - cells[None]).abs().amax(-1)
    return NeighbourSum((distance == 1).nonzero().T, height * width).to(device)
