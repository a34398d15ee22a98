"""LGBlock for separate crops of the two hands (LGNet section III-B on per-hand features)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_core.geometry.crop_pairs import RELATION_FEATURES, CropPairGeometry
from lgnet_core.hand_model import MeshGraph
from lgnet_core.network.layers import tokens_to_map
from lgnet_core.network.lgnet.attention import LGFA
from lgnet_core.network.lgnet.local_graph import MeshLocalGraph


class GeometryEmbedding(nn.Module):
    """Embedding of the positions of the other hand's map cells relative to this hand's crop.

    Input of its first layer: the position of a cell, and the geometric relation of the crops, equal for all cells.

    Shapes:
        geometry: of the crops; like: (N, c, G, G); returns (N, c, G, G).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(2 + RELATION_FEATURES, channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, geometry: CropPairGeometry, like: Tensor) -> Tensor:
        cell_weight, relation_weight = self.hidden.weight.split([2, RELATION_FEATURES], 1)
        relation = F.linear(geometry.relation, relation_weight, self.hidden.bias)
        tokens = self.out(torch.relu(F.linear(geometry.cells, cell_weight) + relation[:, None]))
        return tokens_to_map(tokens, like)


class HandLGBlock(nn.Module):
    r"""Local and global interaction of two hands in separate crops, both mirrored to right hands.

    .. math::
        F_{local,h} &= \mathrm{LGFA}_{local}(F'_h, F'_{\bar h} + E_h), \quad
        F_{ih} = \mathrm{LGFA}_{hand}(F_h, F_{local,h}) \\
        F_{global,h} &= \mathrm{LGFA}_{global}(F_{ih}, F_{i\bar h} + E_h), \quad F^*_h = [F_h \mid W F_{global,h}]

    with F' the maps after the local graph, :math:`\bar h` the other hand, and E_h the :class:`GeometryEmbedding`. If
    there is no other hand, its map is replaced by the hand's own in the queries and masked in keys and values.
    Equations 7 to 10 of the paper, with two differences: both hands share the weights, since left hands are mirrored;
    and each hand has its own local and global features, since corresponding cells of the two crops show different
    image regions.

    Args:
        channels: c. backbone_channels: of the encoder's stride-32 map. mesh_graph: of the hand model.
        local_unit: False: F_ih = F_h. global_unit: False: F_ih instead of F_global,h, as in
            :class:`lgnet_core.network.lgnet.lgblock.LGBlock`.

    Shapes:
        means: (N, C_32) of the encoder's stride-32 map; features: (N, c, G, G), the F_h; geometry: of the crops;
        returns (N, c + c / 4, G, G), the F*_h.
    """

    def __init__(
        self,
        channels: int,
        backbone_channels: int,
        mesh_graph: MeshGraph,
        local_unit: bool = True,
        global_unit: bool = True,
    ) -> None:
        super().__init__()
        self.local_graph = MeshLocalGraph(backbone_channels, channels, "gin", mesh_graph.coarse) if local_unit else None
        self.geometry = GeometryEmbedding(channels)
        self.lgfa_local = LGFA(channels) if local_unit else None
        self.lgfa_hand = LGFA(channels) if local_unit else None
        self.lgfa_global = LGFA(channels) if global_unit else None
        self.compress = nn.Conv2d(channels, channels // 4, 1)

    def forward(self, means: Tensor, features: Tensor, geometry: CropPairGeometry) -> Tensor:
        embedding = self.geometry(geometry, features)

        def other(maps: Tensor) -> Tensor:
            return maps.index_select(0, geometry.other) + embedding

        common = features
        if self.local_graph is not None and self.lgfa_local is not None and self.lgfa_hand is not None:
            structured = self.local_graph(means, features)
            common = self.lgfa_hand(features, self.lgfa_local(structured, other(structured), geometry.paired))
        if self.lgfa_global is not None:
            common = self.lgfa_global(common, other(common), geometry.paired)
        return torch.cat([features, self.compress(common)], 1)

    def lgfa_modules(self) -> dict[str, tuple[LGFA, str, str]]:
        """Its LGFA modules by name, with descriptions of their two input maps."""
        other = "other hand's map"
        modules = (
            ("local", self.lgfa_local, other),
            ("hand", self.lgfa_hand, "local feature"),
            ("global", self.lgfa_global, other),
        )
        return {name: (lgfa, "own map", second) for name, lgfa, second in modules if lgfa is not None}
