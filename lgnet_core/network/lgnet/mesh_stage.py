"""Mesh stage: self-joint transformer and regression of the rough mesh M_r (LGNet section III-C)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_core.hand_model import HandLayer
from lgnet_core.hand_model.asset import NUM_MANO_JOINTS, NUM_SHAPE_PARAMETERS
from lgnet_core.network.layers import PerHand, static_sizes
from lgnet_core.network.lgnet.attention import AttentionBlock
from lgnet_core.network.lgnet.graph import GINConv, GraphBlock, GraphResiduals, NeighbourSum
from lgnet_core.network.prediction import HandsPrediction
from lgnet_core.types import NUM_KEYPOINTS

HAND_EXTENT = 0.15
"""Metres; divides hand coordinates so that they are roughly in [-1, 1]."""
INITIAL_SCALE = 6.7
"""Initial scale of the weak-perspective camera, half crop sides per metre: a crop of 0.3 m."""
INITIAL_STD = 0.03
"""Initial predicted standard deviation of a joint, metres."""


class RoughHands(NamedTuple):
    """Rough meshes and the parameters they were computed from; wrist-relative metres, camera axes.

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
        """Prediction of a network without refine stage; the arguments are fields of :class:`HandsPrediction`."""
        dtype = self.vertices.dtype
        return HandsPrediction(
            joints_grid=joints_grid,
            joint_log_variance=self.joint_log_variance,
            presence_logits=presence_logits.to(dtype),
            rotations=self.rotations,
            shape=self.shape,
            camera=self.camera,
            rough_vertices=self.vertices,
            rough_joints=self.joints,
            vertices=self.vertices,
            joints=self.joints,
            relative_translation=relative_translation.to(dtype),
        )


def rotation_from_6d(columns: Tensor) -> Tensor:
    """Rotation matrices from the 6D representation: Gram-Schmidt on two columns (Zhou et al. 2019).

    Shapes:
        columns: (..., 6), a (3, 2) matrix row by row; returns (..., 3, 3).
    """
    # Not roma.special_gramschmidt: its export is tied to the traced batch size and, with the batch axes flattened here,
    # is 2.5 times as large (96 nodes instead of 39) and 1.4 times as slow in ONNX Runtime (43 us instead of 31).
    first, second = columns[..., 0::2], columns[..., 1::2]

    def normalise(vector: Tensor) -> Tensor:
        return vector / vector.norm(dim=-1, keepdim=True).clamp_min(1e-6)

    x = normalise(first)
    y = normalise(second - (x * second).sum(-1, keepdim=True) * x)
    i, j = [1, 2, 0], [2, 0, 1]  # cyclic permutations; linalg.cross becomes 15 nodes in exports
    return torch.stack([x, y, x[..., i] * y[..., j] - x[..., j] * y[..., i]], -1)


class SelfJointTransformer(nn.Module):
    """Self-joint transformer (SJT) over the tokens of one hand. Shapes: (B, N, c) -> (B, N, c), the F*_J.

    Args:
        tokens: N, the joints and any additional tokens.
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
    """Weak-perspective camera (s, t_x, t_y) from the tokens of one hand; s > 0.

    Initialised to s = 6.7 and, if the tokens contain joint positions, to t at the wrist, the origin of the mesh.

    Args:
        features: length of the flattened tokens.
        wrist: index of the wrist's normalised u in them; None if they contain no joint positions.

    Shapes:
        flat: (B, features); returns (B, 3).
    """

    def __init__(self, features: int, wrist: int | None) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 3)
        nn.init.xavier_uniform_(self.linear.weight, gain=0.01)
        nn.init.zeros_(self.linear.bias)
        with torch.no_grad():
            self.linear.bias[0] = INITIAL_SCALE  # softplus(x) = x to 1e-3 at this value
            if wrist is not None:
                self.linear.weight[1:, wrist : wrist + 2] = torch.eye(2)

    def forward(self, flat: Tensor) -> Tensor:
        raw = self.linear(flat)
        return torch.cat([F.softplus(raw[:, :1]), raw[:, 1:]], -1)


class ParameterRegressor(nn.Module):
    """Hand-model parameters and camera of one hand from its joint tokens; initialised to the mean pose.

    Args:
        channels: of the tokens, including the joint positions.
        mean_rotations: (16, 3, 3).
        wrist: see :class:`CameraHead`.
        mean_channels: regress shape and camera from the mean of the hand's map with this many channels, as in EANet;
            None: from the tokens.

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
        hand = flat if mean is None else mean
        return self.rotations(flat).unflatten(-1, (NUM_MANO_JOINTS, 6)), self.shape(hand), self.camera(hand)


def variance_head(channels: int, count: int = 1) -> nn.Linear:
    """Linear layer to the log-variances of ``count`` joints, initialised to :data:`INITIAL_STD`."""
    head = nn.Linear(channels, count)
    nn.init.xavier_uniform_(head.weight, gain=0.01)
    nn.init.constant_(head.bias, 2 * torch.tensor(INITIAL_STD).log().item())
    return head


class MeshStage(nn.Module):
    """Self-joint transformer, parameter regressor and hand model.

    Args:
        channels: c of the tokens. depth: blocks of the transformer. with_joints: whether 2.5D joints will be passed.
        mean_channels: channels of the maps' means, if these will be passed; see :class:`ParameterRegressor`.

    Shapes:
        tokens: (B, 2, 21, c), the F_J; joints: (B, 2, 21, 3) normalised 2.5D joints (detached here) or None;
        means: (B, 2, mean_channels) or None.
    """

    def __init__(
        self,
        channels: int,
        depth: int,
        with_joints: bool,
        hand_model: HandLayer,
        mean_channels: int | None = None,
    ) -> None:
        super().__init__()
        mean = hand_model.pose_to_rotations(torch.zeros(2, 48, device=hand_model.v_template.device)).cpu()
        sides = iter(mean)  # each hand's regressor starts at its own mean pose
        wrist = channels if with_joints else None  # the first token: the wrist's feature, then its position
        self.transformer = PerHand(lambda: SelfJointTransformer(channels, depth))
        width = channels + 3 * with_joints
        self.regressor = PerHand(lambda: ParameterRegressor(width, next(sides), wrist, mean_channels))
        self.log_variance = PerHand(lambda: variance_head(channels))

    def forward(
        self, tokens: Tensor, joints: Tensor | None, hand_model: HandLayer, means: Tensor | None = None
    ) -> RoughHands:
        tokens = self.transformer(tokens)
        inputs = tokens if joints is None else torch.cat([tokens, joints.detach().to(tokens.dtype)], -1)
        dtype = hand_model.v_template.dtype  # under autocast, geometry stays in the hand model's precision
        regressed = self.regressor(inputs) if means is None else self.regressor(inputs, means)
        columns, shape, camera = (x.to(dtype) for x in regressed)
        rotations = rotation_from_6d(columns)
        mesh = hand_model(rotations, shape).wrist_relative()
        log_variance = self.log_variance(tokens)[..., 0].to(dtype)
        return RoughHands(rotations, shape, camera, mesh.vertices, mesh.joints, log_variance)


class VertexOffsets(nn.Module):
    """Graph network from vertex features of one hand to vertex offsets. Shapes: (B, 778, C) -> (B, 778, 3)."""

    WIDTH = 128

    def __init__(self, in_channels: int, neighbour_sum: NeighbourSum) -> None:
        super().__init__()
        width = self.WIDTH
        self.neighbour_sum = neighbour_sum
        self.head = GraphBlock(GINConv(in_channels, width, width), width)
        self.residuals = GraphResiduals(lambda: GINConv(width, width, width), width)
        self.tail = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        nodes, channels = static_sizes(x, 1, 2)
        x = self.head(x.transpose(0, 1).reshape(-1, channels), self.neighbour_sum)
        return self.tail(self.residuals(x, self.neighbour_sum)).reshape(nodes, -1, 3).transpose(0, 1)


class NonParametricMeshStage(nn.Module):
    """Mesh stage of the ablation without hand-model parameters: a graph network displaces the template's vertices.

    Vertex features are the rest position and the joint tokens, blended with the skinning weights. The returned
    rotations and shape are the means and do not describe the mesh.

    Args, Shapes: as for :class:`MeshStage`; the joints are not used.
    """

    def __init__(self, channels: int, hand_model: HandLayer) -> None:
        super().__init__()
        neighbour_sum = NeighbourSum(hand_model.graph.edge_index, hand_model.graph.node_count)
        self.vertices = PerHand(lambda: VertexOffsets(channels + 3, neighbour_sum))
        self.camera = PerHand(lambda: CameraHead(NUM_KEYPOINTS * channels, None))
        self.log_variance = PerHand(lambda: variance_head(channels))

    def forward(self, tokens: Tensor, joints: Tensor | None, hand_model: HandLayer) -> RoughHands:
        batch, dtype = tokens.shape[0], hand_model.v_template.dtype
        skeleton = hand_model.mano_to_openpose.argsort()[:NUM_MANO_JOINTS]  # MANO's joints in OpenPose's order
        blended = torch.matmul(hand_model.weights, tokens[:, :, skeleton])  # (B, 2, 778, c)
        template = hand_model.v_template.expand(batch, -1, -1, -1)
        offsets = self.vertices(torch.cat([template / HAND_EXTENT, blended], -1))
        vertices = template + HAND_EXTENT * offsets.to(dtype)
        regressed = hand_model.joints_from_vertices(vertices)
        return RoughHands(
            hand_model.pose_to_rotations(template.new_zeros(batch, 2, 48)),
            template.new_zeros(batch, 2, NUM_SHAPE_PARAMETERS),
            self.camera(tokens.flatten(2)).to(dtype),
            vertices - regressed[..., :1, :],
            regressed - regressed[..., :1, :],
            self.log_variance(tokens)[..., 0].to(dtype),
        )
