"""Interaction of the hands as in EANet and InterShape, for separate crops; for comparisons with the LGBlock."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from lgnet_core.geometry.crop_pairs import RELATION_FEATURES, CropPairGeometry
from lgnet_core.hand_model.asset import NUM_MANO_JOINTS, NUM_SHAPE_PARAMETERS
from lgnet_core.network.backbones.resnet import Bottleneck
from lgnet_core.network.baselines.intershape import joint_gates
from lgnet_core.network.layers import conv_norm_relu, static_sizes
from lgnet_core.network.lgnet.attention import LGFA
from lgnet_core.network.per_hand.heads import HandParameterRegressor
from lgnet_core.network.per_hand.lgblock import GeometryEmbedding

Parameters = tuple[Tensor, Tensor, Tensor]
"""Rotations in 6D (N, 16, 6), shape (N, 10) and log of the scale correction (N, 1)."""


class HandEABlock(nn.Module):
    r"""EANet's EABlock (:class:`lgnet_core.network.baselines.eanet.EABlock`), both hands mirrored to right hands.

    .. math::
        F_{inter,h} = \mathrm{Extract}(F_h, F_{\bar h} + E_h), \quad
        F^*_h = \mathrm{conv}[F_h | \mathrm{Adapt}(F_h, F_{inter,h})]

    with E_h the :class:`~lgnet_core.network.per_hand.lgblock.GeometryEmbedding`.

    Shapes:
        means: (N, C_32), unused; features: (N, c, G, G); geometry: of the crops; returns (N, 2 c, G, G).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.geometry = GeometryEmbedding(channels)
        self.extract, self.adapt = LGFA(channels, "eanet"), LGFA(channels, "eanet")
        self.mix = conv_norm_relu(2 * channels, 2 * channels)

    def forward(self, means: Tensor, features: Tensor, geometry: CropPairGeometry) -> Tensor:
        other = features.index_select(0, geometry.other) + self.geometry(geometry, features)
        common = self.extract(features, other, geometry.paired)
        return self.mix(torch.cat([features, self.adapt(features, common)], 1))

    def lgfa_modules(self) -> dict[str, tuple[LGFA, str, str]]:
        """Its fuse formers by name, with descriptions of their two input maps."""
        return {
            "extract": (self.extract, "own map", "other hand's map"),
            "adapt": (self.adapt, "own map", "extracted"),
        }


class CascadeStep(nn.Module):
    """A step of :class:`ContextCascade`: new parameters from a gated map and both hands' previous parameters.

    Args:
        map_channels: of the map. stride: of the bottleneck, so that its output has stride 32. channels: of its output.
        width, depth, mean_rotations: of the :class:`~lgnet_core.network.per_hand.heads.HandParameterRegressor`.
    """

    def __init__(
        self, map_channels: int, stride: int, channels: int, width: int, depth: int, mean_rotations: Tensor
    ) -> None:
        super().__init__()
        self.bottleneck = Bottleneck(map_channels, channels // 4, stride, norm=False)
        context = 2 * (NUM_MANO_JOINTS * 6 + NUM_SHAPE_PARAMETERS) + RELATION_FEATURES + 2
        self.regressor = HandParameterRegressor(channels + context, width, depth, mean_rotations)

    def forward(self, features: Tensor, gate: Tensor, parameters: Parameters, geometry: CropPairGeometry) -> Parameters:
        gated = features * gate[:, None].to(features.dtype)
        own = torch.cat([parameters[0].flatten(1), parameters[1]], 1).to(features.dtype)
        other = own.index_select(0, geometry.other) * geometry.paired[:, None].to(features.dtype)
        pooled = self.bottleneck(gated).mean((-2, -1))
        flat = [pooled, own, other, geometry.relation.to(features.dtype), geometry.log_focal.to(features.dtype)]
        new: Parameters = self.regressor(torch.cat(flat, 1))
        return new


class ContextCascade(nn.Module):
    """InterShape's context-aware cascade (:class:`lgnet_core.network.baselines.intershape.InterShape`) between the
    hand-model parameters of separate crops: each step replaces them, and sees those of the other hand.

    Args:
        maps: channels and stride relative to 32 of each step's map.
        others: see :class:`CascadeStep`.

    Shapes:
        parameters: of the first estimate; maps: (N, C, H, W) each; geometry: of the crops;
        project: parameters -> joints (N, 21, 2) in [-1, 1] of the crop.
    """

    def __init__(
        self, maps: Sequence[tuple[int, int]], channels: int, width: int, depth: int, mean_rotations: Tensor
    ) -> None:
        super().__init__()
        self.steps = nn.ModuleList(CascadeStep(c, stride, channels, width, depth, mean_rotations) for c, stride in maps)

    def forward(
        self,
        parameters: Parameters,
        maps: Sequence[Tensor],
        geometry: CropPairGeometry,
        project: Callable[[Parameters], Tensor],
    ) -> Parameters:
        for step, features in zip(self.steps, maps, strict=True):
            gate = joint_gates(project(parameters).detach(), *static_sizes(features, -1))
            parameters = step(features, gate, parameters, geometry)
        return parameters
