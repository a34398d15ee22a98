"""EANet, the predecessor of LGNet (Park et al. 2023, "Extract-and-Adaptation Network").

Differences to LGNet: no graph, no global unit, no refine stage; shape and camera are regressed from the mean of the
hand's map.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from lgnet_core.hand_model import HandLayer
from lgnet_core.network.attention_maps import AttentionMap
from lgnet_core.network.backbones.factory import Backbone, build_backbone
from lgnet_core.network.config import EANetConfig
from lgnet_core.network.hands_network import HandsNetwork
from lgnet_core.network.layers import PerHand, conv_norm_relu
from lgnet_core.network.lgnet.attention import LGFA, record_lgfa_attention
from lgnet_core.network.lgnet.joint_stage import JointStage, normalise_joints
from lgnet_core.network.lgnet.mesh_stage import MeshStage
from lgnet_core.network.prediction import HandsPrediction, IntermediateOutputs
from lgnet_core.types import Side


class EABlock(nn.Module):
    r"""Extract the features common to both hands, adapt them to each hand, and mix them with the hand's own map.

    .. math:: F_{inter} = \mathrm{Extract}(F_R, F_L), \ F^*_h = \mathrm{conv}[F_h | \mathrm{Adapt}_h(F_h, F_{inter})]

    Extract and Adapt are EANet's fuse formers: LGFA modules of the ``eanet`` variant.

    Shapes:
        features: (B, 2, c, H, W); returns (B, 2, 2 c, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.extract = LGFA(channels, "eanet")
        self.adapt = PerHand(lambda: LGFA(channels, "eanet"))
        self.mix = PerHand(lambda: conv_norm_relu(2 * channels, 2 * channels))

    def lgfa_modules(self) -> dict[str, tuple[LGFA, str, str]]:
        """Its fuse formers by name, with descriptions of their two input maps."""
        hands = {f"adapt, {side.label}": (cast(LGFA, self.adapt[side]), "its own map", "extracted") for side in Side}
        return {"extract": (self.extract, "right hand's map", "left hand's map"), **hands}

    def forward(self, features: Tensor) -> Tensor:
        common = self.extract(features[:, 0], features[:, 1])
        adapted = self.adapt(features, common[:, None].expand_as(features))
        return self.mix(torch.cat([features, adapted], 2))


class EANet(HandsNetwork):
    """EANet with this project's depth box and crops, see :class:`EANetConfig`."""

    config: EANetConfig

    def __init__(self, config: EANetConfig, hand_model: HandLayer) -> None:
        super().__init__(config, hand_model)
        self.backbone = build_backbone(config.backbone)
        deep, channels, enhanced = self.backbone.deep_channels, config.channels, 2 * config.channels
        self.split = PerHand(lambda: conv_norm_relu(deep, channels))
        self.eablock = EABlock(channels)
        self.joint_stage = PerHand(lambda: JointStage(enhanced, channels))
        self.mesh_stage = MeshStage(channels, config.self_joint_depth, True, hand_model, mean_channels=enhanced)
        self.relative_translation = nn.Linear(2 * enhanced, 3)
        nn.init.xavier_uniform_(self.relative_translation.weight, gain=0.01)
        nn.init.zeros_(self.relative_translation.bias)
        self.presence = PerHand(lambda: nn.Linear(enhanced, 1))

    def forward_intermediates(
        self, image: Tensor, intrinsics: Tensor
    ) -> tuple[HandsPrediction, IntermediateOutputs | None]:
        map_size = self.map_size(image)
        _, deep = self.backbone(image)
        features = self.split(deep[:, None].expand(-1, 2, -1, -1, -1))  # (B, 2, c, G, G)
        enhanced = self.eablock(features)  # (B, 2, 2 c, G, G)
        means = enhanced.mean((-2, -1))  # (B, 2, 2 c)
        joints_grid, tokens = self.joint_stage(enhanced)
        rough = self.mesh_stage(tokens, normalise_joints(joints_grid, map_size), self.hand_model, means)
        relative = self.relative_translation(means.flatten(1))
        return rough.prediction(joints_grid, self.presence(means)[..., 0], relative), None

    def backbones(self) -> tuple[Backbone, ...]:
        return (self.backbone,)

    def attention_maps(self, image: Tensor, intrinsics: Tensor) -> list[AttentionMap]:
        return record_lgfa_attention(self.eablock.lgfa_modules(), lambda: self(image, intrinsics))
