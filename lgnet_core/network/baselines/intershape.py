"""InterShape: heatmaps, pose-aware attention and a context-aware cascade over both hands (Zhang et al. 2021,
"Interacting Two-Hand 3D Pose and Shape Reconstruction from Single Color Image").

Every cascade step predicts complete hand-model parameters, which replace those of the previous step. Joints are
relative to the wrist, as everywhere in this project; the authors use the middle MCP.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lgnet_core.geometry.coordinates import normalised_to_pixels, pixels_to_normalised
from lgnet_core.hand_model import HandLayer
from lgnet_core.hand_model.asset import NUM_MANO_JOINTS, NUM_SHAPE_PARAMETERS
from lgnet_core.network.attention_maps import AttentionMap
from lgnet_core.network.backbones.factory import Backbone, build_backbone
from lgnet_core.network.backbones.resnet import Bottleneck
from lgnet_core.network.baselines.internet import InterNet, Peaks, find_peaks, voxels_to_grid
from lgnet_core.network.config import InterShapeConfig
from lgnet_core.network.hands_network import HandsNetwork
from lgnet_core.network.layers import PerHand, static_sizes
from lgnet_core.network.lgnet.mesh_stage import variance_head
from lgnet_core.network.lgnet.refine_stage import project_weak
from lgnet_core.network.prediction import HandsPrediction, IntermediateOutputs
from lgnet_core.types import NUM_KEYPOINTS, Side

NUM_POSE_PARAMETERS = 48
STEP_STRIDES = (1, 2, 4)
"""Strides of the cascade's bottlenecks, whose inputs have strides 32, 16 and 8; all outputs have stride 32."""
HEATMAP_DEPTH_STRIDE, HEATMAP_PLANE_STRIDE = 4, 2
"""Subsampling of the heatmap volumes that the feature network takes."""
GATE_WIDTH_SQUARED = 3.0
"""Cells squared: the gate of a joint is exp(-d^2 / 3) at a distance of d cells."""
MIN_SCALE = 0.5
"""Lower bound of the fitted camera scale, half crop sides per metre; below that of any hand in the training data."""


class HandsEstimate(NamedTuple):
    """Estimate of both hands by one cascade step; wrist-relative metres, camera axes.

    Shapes:
        pose: (B, 2, 48) axis-angle relative to the mean pose; shape: (B, 2, 10); rotations: (B, 2, 16, 3, 3);
        vertices: (B, 2, 778, 3); joints: (B, 2, 21, 3).
    """

    pose: Tensor
    shape: Tensor
    rotations: Tensor
    vertices: Tensor
    joints: Tensor


class FeatureNet(nn.Module):
    """Feature network: a backbone that takes the subsampled heatmaps as additional channels at stride 8.

    Shapes:
        image: (B, 3, S, S); volumes: (B, 2, 21, D, S / 4, S / 4); returns the maps at stride 8, 16 and 32.
    """

    def __init__(self, backbone: str, heatmap_depth: int) -> None:
        super().__init__()
        self.backbone = build_backbone(backbone, 2 * NUM_KEYPOINTS * heatmap_depth // HEATMAP_DEPTH_STRIDE)

    def forward(self, image: Tensor, volumes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        subsampled = volumes[:, :, :, ::HEATMAP_DEPTH_STRIDE, ::HEATMAP_PLANE_STRIDE, ::HEATMAP_PLANE_STRIDE]
        heatmaps = subsampled.flatten(1, 3)  # (B, 42 D / 4, S / 8, S / 8)
        _, stride8, stride16, stride32 = self.backbone.maps(image, heatmaps)
        return stride8, stride16, stride32


class HandRegressor(nn.Module):
    """MLP with four hidden layers that regresses pose and shape of one hand; initialised to the mean pose.

    Shapes:
        x: (B, in_features); returns pose (B, 48) and shape (B, 10).
    """

    HIDDEN_LAYERS = 4

    def __init__(self, in_features: int, hidden: int) -> None:
        super().__init__()
        widths = [in_features] + [hidden] * self.HIDDEN_LAYERS
        layers = [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU(inplace=True))]
        self.hidden = nn.Sequential(*layers)
        self.out = nn.Linear(hidden, NUM_POSE_PARAMETERS + NUM_SHAPE_PARAMETERS)
        nn.init.xavier_uniform_(self.out.weight, gain=0.01)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        pose, shape = self.out(self.hidden(x)).split((NUM_POSE_PARAMETERS, NUM_SHAPE_PARAMETERS), -1)
        return pose, shape


class CascadeStep(nn.Module):
    """Cascade step: a new estimate from a map gated at the previous joints, and from both hands' previous estimates.

    Args:
        map_channels: of the map. stride: of the bottleneck. features: output channels of the bottleneck.
        hidden: width of the regressor.

    Shapes:
        features: (B, map_channels, H, W); gate: (B, 2, H, W); pose: (B, 2, 48); shape: (B, 2, 10);
        translation: (B, 4); returns pose and shape.
    """

    def __init__(self, map_channels: int, stride: int, features: int, hidden: int) -> None:
        super().__init__()
        context = 2 * (NUM_POSE_PARAMETERS + NUM_SHAPE_PARAMETERS) + 4
        self.bottleneck = PerHand(lambda: Bottleneck(map_channels, features // 4, stride, norm=False))
        self.regressor = PerHand(lambda: HandRegressor(context + features, hidden))

    def forward(
        self, features: Tensor, gate: Tensor, pose: Tensor, shape: Tensor, translation: Tensor
    ) -> tuple[Tensor, Tensor]:
        gated = features[:, None] * gate[:, :, None].to(features.dtype)
        hand_features = self.bottleneck(gated).mean((-2, -1))  # (B, 2, F)
        own = torch.cat([shape, pose], -1).to(hand_features.dtype)  # (B, 2, 58)
        relative = translation[:, None].expand(-1, 2, -1)
        return self.regressor(torch.cat([own.flip(1), own, hand_features, relative], -1))


class InterShape(HandsNetwork):
    """InterShape. The heatmaps are detached, so the heatmap network is trained by its own losses only, before the rest
    or jointly with it.

    The predicted camera is that of the last fit; presence comes from the heatmap network. The uncertainty, an addition
    of this project, is regressed from each hand's attended feature.
    """

    config: InterShapeConfig

    def __init__(self, config: InterShapeConfig, hand_model: HandLayer) -> None:
        super().__init__(config, hand_model)
        self.heatmap_net = InterNet(config.backbone, config.decoder_channels, config.heatmap_depth)
        self.feature_net = FeatureNet(config.backbone, config.heatmap_depth)
        deep = self.feature_net.backbone.deep_channels
        maps = (deep, *reversed(self.feature_net.backbone.middle_channels))
        self.first = PerHand(lambda: HandRegressor(deep, config.hidden))
        self.translation = nn.Sequential(nn.Linear(deep, 2 * config.hidden), nn.ReLU(inplace=True))
        self.translation_out = nn.Linear(2 * config.hidden, 4)
        nn.init.xavier_uniform_(self.translation_out.weight, gain=0.01)
        nn.init.zeros_(self.translation_out.bias)
        self.steps = nn.ModuleList(
            CascadeStep(channels, stride, deep, config.hidden) for channels, stride in zip(maps, STEP_STRIDES)
        )
        self.log_variance = PerHand(lambda: variance_head(deep, NUM_KEYPOINTS))

    def forward_intermediates(
        self, image: Tensor, intrinsics: Tensor
    ) -> tuple[HandsPrediction, IntermediateOutputs | None]:
        prediction, intermediates, _ = self._run(image)
        return prediction, intermediates

    def _run(self, image: Tensor) -> tuple[HandsPrediction, IntermediateOutputs, list[Tensor]]:
        """Prediction, intermediate outputs, and the attention of each estimate: (B, 2, H, W) at the size of its map."""
        map_size, dtype = self.map_size(image), self.hand_model.v_template.dtype
        volumes, presence = self.heatmap_net(image)
        peaks = find_peaks(volumes)
        heatmaps = volumes.detach()
        stride8, stride16, stride32 = self.feature_net(image, heatmaps)

        gates = [hand_attention(heatmaps, map_size)]
        attended = (stride32[:, None] * gates[0][:, :, None]).mean((-2, -1))  # (B, 2, C_32)
        translation = self.translation_out(self.translation(stride32.mean((-2, -1))))  # (B, 4)
        estimates = [self._estimate(*self.first(attended))]
        camera = fit_camera(estimates[0].joints, peaks, volumes)
        for step, features in zip(self.steps, (stride32, stride16, stride8)):
            last = estimates[-1]
            gates.append(joint_gates(project_weak(last.joints, camera).detach(), *static_sizes(features, -1)))
            estimates.append(self._estimate(*step(features, gates[-1], last.pose, last.shape, translation)))
            camera = fit_camera(estimates[-1].joints, peaks, volumes)

        final, translation = estimates[-1], translation.to(dtype)
        palm = self.hand_model.palm_length(final.shape)[:, Side.RIGHT]  # (B,)
        prediction = HandsPrediction(
            joints_grid=voxels_to_grid(peaks.voxels, volumes, map_size),
            joint_log_variance=self.log_variance(attended).to(dtype),
            presence_logits=presence.to(dtype),
            rotations=final.rotations,
            shape=final.shape,
            camera=camera,
            rough_vertices=final.vertices,
            rough_joints=final.joints,
            vertices=final.vertices,
            joints=final.joints,
            relative_translation=translation[:, 1:] * (translation[:, 0].exp() * palm)[:, None],
        )
        intermediates = IntermediateOutputs(
            heatmaps=volumes,
            pose=torch.stack([estimate.pose for estimate in estimates], 1),
            shape=torch.stack([estimate.shape for estimate in estimates], 1),
            joints=torch.stack([estimate.joints for estimate in estimates], 1),
            translation=translation,
        )
        return prediction, intermediates, gates

    def _estimate(self, pose: Tensor, shape: Tensor) -> HandsEstimate:
        dtype = self.hand_model.v_template.dtype
        pose, shape = pose.to(dtype), shape.to(dtype)
        mean = nn.functional.pad(self.hand_model.hands_mean, (3, 0))
        rotations = rotation_from_axis_angle((pose + mean).unflatten(-1, (NUM_MANO_JOINTS, 3)))
        return HandsEstimate(pose, shape, rotations, *self.hand_model(rotations, shape).wrist_relative())

    def backbones(self) -> tuple[Backbone, ...]:
        return self.heatmap_net.backbone, self.feature_net.backbone

    def attention_maps(self, image: Tensor, intrinsics: Tensor) -> list[AttentionMap]:
        _, _, gates = self._run(image)
        names = ("heatmaps", *(f"step {k}" for k in range(1, len(gates))))
        return [
            AttentionMap(f"{side.label}, {name}", gate[:, side]) for name, gate in zip(names, gates) for side in Side
        ]


def rotation_from_axis_angle(vectors: Tensor) -> Tensor:
    r"""Rodrigues' formula, :math:`1 + \frac{\sin\theta}{\theta} K + \frac{2 \sin^2(\theta / 2)}{\theta^2} K^2`.

    Equal to :func:`roma.rotvec_to_rotmat`, whose export is tied to the traced batch size.

    Shapes:
        vectors: (..., 3) axis times angle, radians; returns (..., 3, 3).
    """
    angle = (vectors.square().sum(-1) + 1e-12).sqrt()[..., None, None]  # finite gradient at 0
    identity = torch.eye(3, dtype=vectors.dtype, device=vectors.device)
    outer = vectors[..., None] * vectors[..., None, :]
    cross_matrix = torch.linalg.cross(identity.expand_as(outer), vectors[..., None, :].expand_as(outer))  # K
    half = torch.sin(angle / 2) / angle
    return identity + torch.sin(angle) / angle * cross_matrix + 2 * half.square() * (outer - angle.square() * identity)


def hand_attention(volumes: Tensor, map_size: int) -> Tensor:
    """Attention of each hand on the stride-32 map: its heatmaps' maximum over joints and depth, clamped at 0.

    Shapes:
        volumes: (B, 2, 21, D, H, W); returns (B, 2, G, G).
    """
    width = static_sizes(volumes, -1)[0]
    return nn.functional.avg_pool2d(volumes.amax((2, 3)).clamp_min(0), width // map_size)


def fit_camera(joints: Tensor, peaks: Peaks, volumes: Tensor) -> Tensor:
    r"""Weak-perspective camera that aligns joints with the heatmap peaks: least squares weighted by confidence.

    .. math:: \min_{s, t} \sum_j c_j \|s x_j + t - p_j\|^2

    in closed form, without gradients.

    Shapes:
        joints: (B, 2, 21, 3) metres; volumes: (B, 2, 21, D, H, W); returns (B, 2, 3) as (s, t_x, t_y), the crop's
        [-1, 1].
    """
    x, p = joints[..., :2].detach(), pixels_to_normalised(peaks.voxels[..., :2].detach(), static_sizes(volumes, -1)[0])
    weights = (peaks.confidence / peaks.confidence.sum(-1, keepdim=True)).detach()[..., None]
    mean_x, mean_p = (weights * x).sum(-2, keepdim=True), (weights * p).sum(-2, keepdim=True)
    spread = (weights * (x - mean_x).square()).sum((-2, -1))
    scale = (weights * (x - mean_x) * (p - mean_p)).sum((-2, -1)) / spread.clamp_min(1e-9)
    scale = scale.clamp_min(MIN_SCALE)[..., None]
    return torch.cat([scale, mean_p[..., 0, :] - scale * mean_x[..., 0, :]], -1)


def joint_gates(points: Tensor, map_size: int) -> Tensor:
    r"""Union of Gaussians around the joints, :math:`1 - \prod_j (1 - e^{-d_j^2 / 3})` with d in cells of the map.

    Shapes:
        points: (..., 21, 2) in the crop's [-1, 1]; returns (..., map_size, map_size).
    """
    cells = normalised_to_pixels(points, map_size)
    axis = torch.arange(map_size, device=points.device, dtype=points.dtype)
    profiles = torch.exp(-(cells[..., None] - axis).square() / GATE_WIDTH_SQUARED)  # (..., 21, 2, map_size)
    gaussians = profiles[..., 1, :, None] * profiles[..., 0, None, :]  # (..., 21, H, W)
    return 1 - (1 - gaussians).prod(-3)
