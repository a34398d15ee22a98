"""InterShape: heatmaps, hand pose-aware attention and a cascade that knows the other hand (Zhang et al. 2021,
"Interacting Two-Hand 3D Pose and Shape Reconstruction from Single Color Image").

Every answer is hand-model parameters; a step's answer replaces the one before. Joints are relative to the wrist, as
everywhere in this house, where the authors take the middle MCP.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lgnet_core.geometry.camera import normalised_to_pixels, pixels_to_normalised
from lgnet_core.hand_model import HandModel
from lgnet_core.hand_model.asset import NUM_MANO_JOINTS, NUM_SHAPE_PARAMETERS
from lgnet_core.network.attention_maps import AttentionMap
from lgnet_core.network.backbones.efficientnet import Backbone, build_backbone
from lgnet_core.network.backbones.resnet import Bottleneck
from lgnet_core.network.baselines.internet import InterNet, Peaks, find_peaks, voxels_to_grid
from lgnet_core.network.config import InterShapeConfig
from lgnet_core.network.hands_network import HandsNetwork
from lgnet_core.network.layers import PerHand, sizes
from lgnet_core.network.lgnet.mesh_stage import variance_head
from lgnet_core.network.lgnet.refine_stage import project_weak
from lgnet_core.network.prediction import HandsPrediction, IntermediateOutputs
from lgnet_core.types import NUM_KEYPOINTS, Side

NUM_POSE_PARAMETERS = 48
STEP_STRIDES = (1, 2, 4)
"""Of the cascade's bottlenecks, which all end at stride 32: the maps are of stride 32, 16 and 8."""
DEPTH_STEP, PLANE_STEP = 4, 2
"""Every so many voxels of a volume go on to the second network."""
GAUSSIAN = 3.0
"""Cells squared: a joint opens a gate by exp(-d^2 / 3) at d cells from it."""
MIN_SCALE = 0.5
"""Half crops per metre: the least scale that a fit gives, a hand as far away as never seen."""


class Answer(NamedTuple):
    """Both hands as one step sees them; wrist-relative metres, camera axes.

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
    """The second network: a backbone that reads every few voxels of the heatmaps beside its stride-8 map.

    Shapes:
        image: (B, 3, S, S); volumes: (B, 2, 21, D, S / 4, S / 4); returns the maps at stride 8, 16 and 32.
    """

    def __init__(self, backbone: str, heatmap_depth: int) -> None:
        super().__init__()
        self.backbone = build_backbone(backbone, 2 * NUM_KEYPOINTS * heatmap_depth // DEPTH_STEP)

    def forward(self, image: Tensor, volumes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        beside = volumes[:, :, :, ::DEPTH_STEP, ::PLANE_STEP, ::PLANE_STEP].flatten(1, 3)  # (B, 42 D / 4, S / 8, S / 8)
        _, fine, middle, deep = self.backbone.maps(image, beside)
        return fine, middle, deep


class HandRegressor(nn.Module):
    """Four hidden layers to one hand's pose and shape; starts at the mean pose, facing as the rest.

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
    """A new answer from one map, gated where the last one's joints lie, and from the last answers of both hands.

    Args:
        map_channels: of the map. stride: of the bottleneck. features: it ends with so many. hidden: of the regressor.

    Shapes:
        features: (B, map_channels, H, W); gate: (B, 2, H, W); pose: (B, 2, 48); shape: (B, 2, 10);
        translation: (B, 4); returns pose and shape.
    """

    def __init__(self, map_channels: int, stride: int, features: int, hidden: int) -> None:
        super().__init__()
        known = 2 * (NUM_POSE_PARAMETERS + NUM_SHAPE_PARAMETERS) + 4
        self.bottleneck = PerHand(lambda: Bottleneck(map_channels, features // 4, stride, norm=False))
        self.regressor = PerHand(lambda: HandRegressor(known + features, hidden))

    def forward(
        self, features: Tensor, gate: Tensor, pose: Tensor, shape: Tensor, translation: Tensor
    ) -> tuple[Tensor, Tensor]:
        gated = features[:, None] * gate[:, :, None].to(features.dtype)
        seen = self.bottleneck(gated).mean((-2, -1))  # (B, 2, F)
        own = torch.cat([shape, pose], -1).to(seen.dtype)  # (B, 2, 58)
        between = translation[:, None].expand(-1, 2, -1)
        return self.regressor(torch.cat([own.flip(1), own, seen, between], -1))


class InterShape(HandsNetwork):
    """The network. The heatmaps reach the rest detached: nothing but their own losses moves the heatmap network,
    whether it is trained along or before.

    The camera of the prediction is that of the last fit, the presence is the heatmap network's; the uncertainty, which
    the authors do not have, is read from each hand's attended feature.
    """

    config: InterShapeConfig

    def __init__(self, config: InterShapeConfig, hand_model: HandModel) -> None:
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
        prediction, cascade, _ = self._run(image)
        return prediction, cascade

    def _run(self, image: Tensor) -> tuple[HandsPrediction, IntermediateOutputs, list[Tensor]]:
        """The prediction, all answers, and where each of them looked: (B, 2, H, W), each at its map's size."""
        map_size, precise = self.map_size(image), self.hand_model.v_template.dtype
        volumes, presence = self.heatmap_net(image)
        peaks = find_peaks(volumes)
        said = volumes.detach()
        fine, middle, deep = self.feature_net(image, said)

        gates = [hand_attention(said, map_size)]
        attended = (deep[:, None] * gates[0][:, :, None]).mean((-2, -1))  # (B, 2, C_32)
        translation = self.translation_out(self.translation(deep.mean((-2, -1))))  # (B, 4)
        answers = [self._answer(*self.first(attended))]
        camera = fit_camera(answers[0].joints, peaks, volumes)
        for step, features in zip(self.steps, (deep, middle, fine)):
            last = answers[-1]
            gates.append(joint_gates(project_weak(last.joints, camera).detach(), *sizes(features, -1)))
            answers.append(self._answer(*step(features, gates[-1], last.pose, last.shape, translation)))
            camera = fit_camera(answers[-1].joints, peaks, volumes)

        final, translation = answers[-1], translation.to(precise)
        palm = self.hand_model.palm_length(final.shape)[:, Side.RIGHT]  # (B,)
        prediction = HandsPrediction(
            joints_grid=voxels_to_grid(peaks.voxels, volumes, map_size),
            joint_log_variance=self.log_variance(attended).to(precise),
            presence_logits=presence.to(precise),
            rotations=final.rotations,
            shape=final.shape,
            camera=camera,
            rough_vertices=final.vertices,
            rough_joints=final.joints,
            vertices=final.vertices,
            joints=final.joints,
            relative_translation=translation[:, 1:] * (translation[:, 0].exp() * palm)[:, None],
        )
        cascade = IntermediateOutputs(
            heatmaps=volumes,
            pose=torch.stack([answer.pose for answer in answers], 1),
            shape=torch.stack([answer.shape for answer in answers], 1),
            joints=torch.stack([answer.joints for answer in answers], 1),
            translation=translation,
        )
        return prediction, cascade, gates

    def _answer(self, pose: Tensor, shape: Tensor) -> Answer:
        precise = self.hand_model.v_template.dtype
        pose, shape = pose.to(precise), shape.to(precise)
        mean = nn.functional.pad(self.hand_model.hands_mean, (3, 0))
        rotations = rotation_from_axis_angle((pose + mean).unflatten(-1, (NUM_MANO_JOINTS, 3)))
        return Answer(pose, shape, rotations, *self.hand_model(rotations, shape).wrist_relative())

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

    As :func:`roma.rotvec_to_rotmat`, which exports would tie to the batch that they were traced with.

    Shapes:
        vectors: (..., 3) axis times angle, radians; returns (..., 3, 3).
    """
    angle = (vectors.square().sum(-1) + 1e-12).sqrt()[..., None, None]  # its gradient is a number at 0 too
    identity = torch.eye(3, dtype=vectors.dtype, device=vectors.device)
    outer = vectors[..., None] * vectors[..., None, :]
    cross = torch.linalg.cross(identity.expand_as(outer), vectors[..., None, :].expand_as(outer))  # K, row by row
    half = torch.sin(angle / 2) / angle
    return identity + torch.sin(angle) / angle * cross + 2 * half.square() * (outer - angle.square() * identity)


def hand_attention(volumes: Tensor, map_size: int) -> Tensor:
    """What each hand's heatmaps, the highest of all joints and depths, are on the stride-32 map; at least 0.

    Shapes:
        volumes: (B, 2, 21, D, H, W); returns (B, 2, G, G).
    """
    width = sizes(volumes, -1)[0]
    return nn.functional.avg_pool2d(volumes.amax((2, 3)).clamp_min(0), width // map_size)


def fit_camera(joints: Tensor, peaks: Peaks, volumes: Tensor) -> Tensor:
    r"""The weak perspective that lays joints on the heatmaps' peaks, by least squares weighted with their confidence.

    .. math:: \min_{s, t} \sum_j c_j \|s x_j + t - p_j\|^2

    in closed form; nothing of it carries a gradient.

    Shapes:
        joints: (B, 2, 21, 3) metres; volumes: (B, 2, 21, D, H, W); returns (B, 2, 3) as (s, t_x, t_y), the crop's
        [-1, 1].
    """
    x, p = joints[..., :2].detach(), pixels_to_normalised(peaks.voxels[..., :2].detach(), sizes(volumes, -1)[0])
    weights = (peaks.confidence / peaks.confidence.sum(-1, keepdim=True)).detach()[..., None]
    mean_x, mean_p = (weights * x).sum(-2, keepdim=True), (weights * p).sum(-2, keepdim=True)
    spread = (weights * (x - mean_x).square()).sum((-2, -1))
    scale = (weights * (x - mean_x) * (p - mean_p)).sum((-2, -1)) / spread.clamp_min(1e-9)
    scale = scale.clamp_min(MIN_SCALE)[..., None]
    return torch.cat([scale, mean_p[..., 0, :] - scale * mean_x[..., 0, :]], -1)


def joint_gates(places: Tensor, map_size: int) -> Tensor:
    r"""Gaussians at the joints, joined as chances are: :math:`1 - \prod_j (1 - e^{-d_j^2 / 3})`, d in cells of a map.

    Shapes:
        places: (B, 2, 21, 2) in the crop's [-1, 1]; returns (B, 2, map_size, map_size).
    """
    cells = normalised_to_pixels(places, map_size)
    line = torch.arange(map_size, device=places.device, dtype=places.dtype)
    bumps = torch.exp(-(cells[..., None] - line).square() / GAUSSIAN)  # (B, 2, 21, 2, map_size)
    heat = bumps[..., 1, :, None] * bumps[..., 0, None, :]  # (B, 2, 21, H, W)
    return 1 - (1 - heat).prod(2)
