"""Mesh stage: joint tokens attend to each other and give the rough mesh M_r (LGNet section III-C)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_core.hand_model import HandModel
from lgnet_core.hand_model.asset import NUM_MANO_JOINTS, NUM_SHAPE_PARAMETERS
from lgnet_core.network.layers import PerHand, sizes
from lgnet_core.network.lgnet.attention import AttentionBlock
from lgnet_core.network.lgnet.graph import GINConv, GraphBlock, GraphResiduals, NeighbourSum
from lgnet_core.network.prediction import HandsPrediction
from lgnet_core.types import NUM_KEYPOINTS

HAND_EXTENT = 0.15
"""Metres: scales a hand's coordinates to about [-1, 1]."""
INITIAL_SCALE = 6.7
"""Half crops per metre: a crop of 0.3 m."""
INITIAL_STD = 0.03
"""Metres: what a joint's predicted standard deviation starts at."""


class RoughHands(NamedTuple):
    """The rough meshes and what they came from; wrist-relative metres, camera axes.

    Shapes:
        rotations (B, 2, 16, 3, 3), shape (B, 2, 10), camera (B, 2, 3), vertices (B, 2, 778, 3), joints (B, 2, 21, 3),
        joint_log_variance (B, 2, 21).
    """

    rotations: Tensor
    shape: Tensor
    camera: Tensor
    vertices: Tensor
    joints: Tensor
    joint_log_variance: Tensor

    def prediction(self, joints_grid: Tensor, presence_logits: Tensor, relative_translation: Tensor) -> HandsPrediction:
        """What a network says whose meshes these are, unrefined; arguments as :class:`HandsPrediction`'s fields."""
        precise = self.vertices.dtype
        return HandsPrediction(
            joints_grid=joints_grid,
            joint_log_variance=self.joint_log_variance,
            presence_logits=presence_logits.to(precise),
            rotations=self.rotations,
            shape=self.shape,
            camera=self.camera,
            rough_vertices=self.vertices,
            rough_joints=self.joints,
            vertices=self.vertices,
            joints=self.joints,
            relative_translation=relative_translation.to(precise),
        )


def rotation_from_6d(columns: Tensor) -> Tensor:
    """Gram-Schmidt on the first two columns of a rotation matrix (Zhou et al. 2019).

    Shapes:
        columns: (..., 6), a (3, 2) matrix row by row; returns (..., 3, 3).
    """
    first, second = columns[..., 0::2], columns[..., 1::2]

    def normalised(vector: Tensor) -> Tensor:
        return vector / vector.norm(dim=-1, keepdim=True).clamp_min(1e-6)

    x = normalised(first)
    y = normalised(second - (x * second).sum(-1, keepdim=True) * x)
    one, two = (
        [1, 2, 0],
        [2, 0, 1],
    )  # the next coordinate and the one after it; exports compute linalg.cross in 15 steps
    return torch.stack([x, y, x[..., one] * y[..., two] - x[..., two] * y[..., one]], -1)


class SelfJointTransformer(nn.Module):
    """Joint tokens of one hand attend to each other: SJT. Shapes: (B, N, c) -> (B, N, c), the F*_J.

    Args:
        tokens: N: the joints, and what else attends with them.
    """

    def __init__(self, channels: int, depth: int, tokens: int = NUM_KEYPOINTS) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(tokens, channels) * 0.02)
        self.blocks = nn.ModuleList(AttentionBlock(channels) for _ in range(depth))
        self.norm = nn.LayerNorm(channels)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.embedding
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)


class CameraHead(nn.Module):
    """Weak-perspective camera (s, t_x, t_y) from all tokens of one hand; s > 0.

    Starts at s = 6.7 and, where the tokens end in the joints' places, with t at the wrist's: the wrist is what the
    mesh is relative to.

    Args:
        features: length of the flat tokens. wrist: index of the wrist's normalised u in them, None if they hold none.

    Shapes:
        flat: (B, features); returns (B, 3).
    """

    def __init__(self, features: int, wrist: int | None) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 3)
        nn.init.xavier_uniform_(self.linear.weight, gain=0.01)
        nn.init.zeros_(self.linear.bias)
        with torch.no_grad():
            self.linear.bias[0] = INITIAL_SCALE  # softplus is the identity up there (to 1e-3)
            if wrist is not None:
                self.linear.weight[1:, wrist : wrist + 2] = torch.eye(2)

    def forward(self, flat: Tensor) -> Tensor:
        raw = self.linear(flat)
        return torch.cat([F.softplus(raw[:, :1]), raw[:, 1:]], -1)


class ParameterRegressor(nn.Module):
    """Hand-model parameters and camera of one hand from its joint tokens; starts at the mean pose, facing as the rest.

    Args:
        channels: of the tokens, the joints' places included. mean_rotations: (16, 3, 3). wrist: see CameraHead.
        mean_channels: shape and camera come from the mean of the hand's map, which has so many, as in EANet; None: from
            the tokens.

    Shapes:
        tokens: (B, 21, channels); mean: (B, mean_channels); returns rotations in 6D (B, 16, 6), shape (B, 10),
        camera (B, 3).
    """

    def __init__(
        self, channels: int, mean_rotations: Tensor, wrist: int | None, mean_channels: int | None = None
    ) -> None:
        super().__init__()
        features = NUM_KEYPOINTS * channels
        self.rotations = nn.Linear(features, NUM_MANO_JOINTS * 6)
        self.shape = nn.Linear(mean_channels or features, NUM_SHAPE_PARAMETERS)
        self.camera = CameraHead(mean_channels or features, None if mean_channels else wrist)
        for linear in (self.rotations, self.shape):
            nn.init.xavier_uniform_(linear.weight, gain=0.01)
            nn.init.zeros_(linear.bias)
        with torch.no_grad():
            self.rotations.bias.copy_(mean_rotations[..., :2].flatten())

    def forward(self, tokens: Tensor, mean: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        flat = tokens.flatten(1)
        whole = flat if mean is None else mean
        return self.rotations(flat).unflatten(-1, (NUM_MANO_JOINTS, 6)), self.shape(whole), self.camera(whole)


def variance_head(channels: int, count: int = 1) -> nn.Linear:
    """A layer to the log-variances of ``count`` joints, which starts at :data:`INITIAL_STD`."""
    head = nn.Linear(channels, count)
    nn.init.xavier_uniform_(head.weight, gain=0.01)
    nn.init.constant_(head.bias, 2 * torch.tensor(INITIAL_STD).log().item())
    return head


class MeshStage(nn.Module):
    """Self-joint transformer, parameter regressor and hand model.

    Args:
        channels: c of the tokens. depth: of the transformer. with_joints: whether 2.5D joints will be given.
        mean_channels: of the maps' means, if these will be given; see :class:`ParameterRegressor`.

    Shapes:
        tokens: (B, 2, 21, c), the F_J; joints: (B, 2, 21, 3) normalised 2.5D joints (detached here) or None;
        means: (B, 2, mean_channels) or None.
    """

    def __init__(
        self,
        channels: int,
        depth: int,
        with_joints: bool,
        hand_model: HandModel,
        mean_channels: int | None = None,
    ) -> None:
        super().__init__()
        mean = hand_model.pose_to_rotations(torch.zeros(2, 48, device=hand_model.v_template.device)).cpu()
        sides = iter(mean)  # one regressor starts at each hand's mean pose
        wrist = channels if with_joints else None  # the first token is the wrist's, its place follows its feature
        self.transformer = PerHand(lambda: SelfJointTransformer(channels, depth))
        width = channels + 3 * with_joints
        self.regressor = PerHand(lambda: ParameterRegressor(width, next(sides), wrist, mean_channels))
        self.log_variance = PerHand(lambda: variance_head(channels))

    def forward(
        self, tokens: Tensor, joints: Tensor | None, hand_model: HandModel, means: Tensor | None = None
    ) -> RoughHands:
        tokens = self.transformer(tokens)
        inputs = tokens if joints is None else torch.cat([tokens, joints.detach().to(tokens.dtype)], -1)
        precise = hand_model.v_template.dtype  # under autocast, geometry stays in the hand model's precision
        regressed = self.regressor(inputs) if means is None else self.regressor(inputs, means)
        columns, shape, camera = (x.to(precise) for x in regressed)
        rotations = rotation_from_6d(columns)
        mesh = hand_model(rotations, shape).wrist_relative()
        log_variance = self.log_variance(tokens)[..., 0].to(precise)
        return RoughHands(rotations, shape, camera, mesh.vertices, mesh.joints, log_variance)


class FreeVertices(nn.Module):
    """Vertex features of one hand to displacements by graph layers. Shapes: (B, 778, C) -> (B, 778, 3)."""

    WIDTH = 128

    def __init__(self, in_channels: int, neighbour_sum: NeighbourSum) -> None:
        super().__init__()
        width = self.WIDTH
        self.neighbour_sum = neighbour_sum
        self.head = GraphBlock(GINConv(in_channels, width, width), width)
        self.residuals = GraphResiduals(lambda: GINConv(width, width, width), width)
        self.tail = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        nodes, channels = sizes(x, 1, 2)
        x = self.head(x.transpose(0, 1).reshape(-1, channels), self.neighbour_sum)
        return self.tail(self.residuals(x, self.neighbour_sum)).reshape(nodes, -1, 3).transpose(0, 1)


class FreeMeshStage(nn.Module):
    """The ablation without hand-model parameters: a graph network moves the template's vertices.

    A vertex carries its rest position and the joint tokens blended with its skinning weights. Rotations and shape are
    the means, and say nothing about the mesh.

    Args, Shapes: as :class:`MeshStage`; the joints are not used.
    """

    def __init__(self, channels: int, hand_model: HandModel) -> None:
        super().__init__()
        neighbour_sum = NeighbourSum(hand_model.graph.edge_index, hand_model.graph.node_count)
        self.vertices = PerHand(lambda: FreeVertices(channels + 3, neighbour_sum))
        self.camera = PerHand(lambda: CameraHead(NUM_KEYPOINTS * channels, None))
        self.log_variance = PerHand(lambda: variance_head(channels))

    def forward(self, tokens: Tensor, joints: Tensor | None, hand_model: HandModel) -> RoughHands:
        batch, precise = tokens.shape[0], hand_model.v_template.dtype
        skeleton = hand_model.mano_to_openpose.argsort()[:NUM_MANO_JOINTS]  # MANO's joints in OpenPose's order
        blended = torch.matmul(hand_model.weights, tokens[:, :, skeleton])  # (B, 2, 778, c)
        template = hand_model.v_template.expand(batch, -1, -1, -1)
        moved = self.vertices(torch.cat([template / HAND_EXTENT, blended], -1))
        vertices = template + HAND_EXTENT * moved.to(precise)
        regressed = hand_model.joints_from_vertices(vertices)
        return RoughHands(
            hand_model.pose_to_rotations(template.new_zeros(batch, 2, 48)),
            template.new_zeros(batch, 2, NUM_SHAPE_PARAMETERS),
            self.camera(tokens.flatten(2)).to(precise),
            vertices - regressed[..., :1, :],
            regressed - regressed[..., :1, :],
            self.log_variance(tokens)[..., 0].to(precise),
        )
