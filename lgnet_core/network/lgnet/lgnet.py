"""LGNet with one crop of both hands, as in the paper: backbone, LGBlock, joint stage, mesh stage, refine stage."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_core.geometry.coordinates import depth_to_grid
from lgnet_core.hand_model import HandLayer
from lgnet_core.network.attention_maps import AttentionMap
from lgnet_core.network.backbones.factory import Backbone, build_backbone
from lgnet_core.network.config import LGNetConfig
from lgnet_core.network.hands_network import HandsNetwork
from lgnet_core.network.layers import PerHand, PositionEmbedding, conv_norm_relu
from lgnet_core.network.lgnet.attention import record_lgfa_attention
from lgnet_core.network.lgnet.joint_stage import DEPTH_CELLS, JointStage, MeanTokens, normalise_joints
from lgnet_core.network.lgnet.lgblock import LGBlock
from lgnet_core.network.lgnet.mesh_stage import MeshStage, NonParametricMeshStage, RoughHands
from lgnet_core.network.lgnet.refine_stage import RefineStage, project_weak
from lgnet_core.network.prediction import HandsPrediction, IntermediateOutputs


class HandSplit(nn.Module):
    """Feature map of one hand from the backbone's map: 1x1 convolution, norm, ReLU, position embedding.

    Shapes:
        x: (B, C_32, G, G); returns (B, c, G, G).
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.reduce = conv_norm_relu(in_channels, channels)
        self.embedding = PositionEmbedding(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.reduce(x) + self.embedding(x)


class RelativeTranslation(nn.Module):
    """wrist_left - wrist_right from the means of both hands' maps. Shapes: (B, 2, c*) -> (B, 3) metres."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(2 * in_channels, channels)
        self.out = nn.Linear(channels, 3)
        nn.init.xavier_uniform_(self.out.weight, gain=0.01)
        nn.init.zeros_(self.out.bias)

    def forward(self, means: Tensor) -> Tensor:
        return self.out(F.relu(self.hidden(means.flatten(1))))


class LGNet(HandsNetwork):
    """The paper's three-stage network; its parts can be switched off for ablations, see :class:`LGNetConfig`."""

    config: LGNetConfig

    def __init__(self, config: LGNetConfig, hand_model: HandLayer) -> None:
        super().__init__(config, hand_model)
        self.backbone = build_backbone(config.backbone)
        deep, channels, enhanced = self.backbone.deep_channels, config.channels, config.enhanced_channels
        if config.left_right_features:
            self.split: nn.Module = PerHand(lambda: HandSplit(deep, channels))
        else:
            self.split = HandSplit(deep, channels)
        self.lgblock = LGBlock(config, deep, hand_model.graph) if config.lgblock else None
        if config.joint_stage:
            self.joint_stage = PerHand(lambda: JointStage(enhanced, channels))
        else:
            self.joint_stage = PerHand(lambda: MeanTokens(enhanced, channels))
        if config.mesh_stage:
            self.mesh_stage: MeshStage | NonParametricMeshStage = MeshStage(
                channels, config.self_joint_depth, config.joint_stage, hand_model
            )
        else:
            self.mesh_stage = NonParametricMeshStage(channels, hand_model)
        self.refine_stage = None
        if config.refine_stage:
            self.refine_stage = RefineStage(
                self.backbone.early_channels,
                channels,
                enhanced,
                config.refine_channels,
                config.refine_projection,
                config.refine_smoothing,
                hand_model,
            )
        self.relative_translation = RelativeTranslation(enhanced, channels)
        self.presence = PerHand(lambda: nn.Linear(enhanced, 1))

    def forward_intermediates(
        self, image: Tensor, intrinsics: Tensor
    ) -> tuple[HandsPrediction, IntermediateOutputs | None]:
        map_size = self.map_size(image)
        early, deep = self.backbone(image)
        features = self._split_hands(deep)  # (B, 2, c, G, G)
        enhanced = features if self.lgblock is None else self.lgblock(deep, features)  # (B, 2, c*, G, G)

        if self.config.joint_stage:
            joints_grid, tokens = self.joint_stage(enhanced)
            rough = self.mesh_stage(tokens, normalise_joints(joints_grid, map_size), self.hand_model)
        else:
            rough = self.mesh_stage(self.joint_stage(enhanced), None, self.hand_model)
            joints_grid = self._rough_joints_grid(rough, map_size)

        means = enhanced.mean((-2, -1))  # (B, 2, c*)
        prediction = rough.prediction(joints_grid, self.presence(means)[..., 0], self.relative_translation(means))
        if self.refine_stage is not None:
            offsets = self.refine_stage(rough.vertices, rough.camera, intrinsics, image, early, features, enhanced)
            shifts = self.hand_model.joints_from_vertices(offsets)
            wrist = shifts[..., :1, :]  # keep the mesh relative to its own wrist
            vertices, joints = rough.vertices + offsets - wrist, rough.joints + shifts - wrist
            prediction = prediction._replace(vertices=vertices, joints=joints)
        return prediction, None

    def backbones(self) -> tuple[Backbone, ...]:
        return (self.backbone,)

    def attention_maps(self, image: Tensor, intrinsics: Tensor) -> list[AttentionMap]:
        return record_lgfa_attention(
            {} if self.lgblock is None else self.lgblock.lgfa_modules(), lambda: self(image, intrinsics)
        )

    def _split_hands(self, deep: Tensor) -> Tensor:
        if self.config.left_right_features:
            return self.split(deep[:, None].expand(-1, 2, -1, -1, -1))
        return self.split(deep)[:, None].expand(-1, 2, -1, -1, -1)

    def _rough_joints_grid(self, rough: RoughHands, map_size: int) -> Tensor:
        cells = (project_weak(rough.joints, rough.camera) + 1) * (map_size / 2) - 0.5
        depth = depth_to_grid(rough.joints[..., 2:], self.config.depth_box, DEPTH_CELLS)
        return torch.cat([cells, depth], -1)
