"""LGNet's three stages over two crops, one for each hand, on the hand-landmark network's features."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_core.geometry.camera import (
    depth_to_grid,
    normalised_to_pixels,
    pixels_to_normalised,
    project,
    virtual_intrinsics,
)
from lgnet_core.geometry.crop_geometry import RELATION_SIZE, CropGeometry, crop_geometry
from lgnet_core.hand_model import HandModel
from lgnet_core.hand_model.asset import NUM_MANO_JOINTS, NUM_SHAPE_PARAMETERS
from lgnet_core.network.config import HandLGNetConfig
from lgnet_core.network.detector.hand_landmark import HAND_CROP_SIZE
from lgnet_core.network.exportable import ExportableModule
from lgnet_core.network.layers import PositionEmbedding, conv_norm_relu, sample_map, sample_small_map
from lgnet_core.network.lgnet.graph import NeighbourSum
from lgnet_core.network.lgnet.joint_stage import DEPTH_CELLS
from lgnet_core.network.lgnet.mesh_stage import HAND_EXTENT, SelfJointTransformer, rotation_from_6d, variance_head
from lgnet_core.network.lgnet.refine_stage import VertexGraph, fairing
from lgnet_core.network.per_hand.lgblock import HandLGBlock
from lgnet_core.network.prediction import StackedHands
from lgnet_core.types import NUM_KEYPOINTS, Side

MAP_SIZE = HAND_CROP_SIZE // 32
WORLD_SCALE = 0.05
"""Metres: scales landmarks relative to a hand's centre to about [-1, 1]."""
CORRECTION_SCALE = 0.1
"""Half crops per unit of the joints' correction."""
RELATION_SCALE = 0.1
"""Metres per unit of the relative translation's correction."""


class JointTokens(nn.Module):
    """A token for each landmark, from what the maps show there and where it lies, and one for the whole hand.

    Shapes:
        features: (N, c*, G, G); middle: (N, C_16, 2 G, 2 G); mean: (N, C_32); places: (N, 21, 3) in [-1, 1] of the
        crop and of the depth box; world: (N, 21, 3) metres; log_focal: (N, 1); returns (N, 22, c).
    """

    def __init__(self, enhanced: int, middle: int, deep: int, channels: int) -> None:
        super().__init__()
        self.joint = nn.Linear(enhanced + middle + 6, channels)
        self.hand = nn.Linear(deep + 1, channels)

    def forward(
        self, features: Tensor, middle: Tensor, mean: Tensor, places: Tensor, world: Tensor, log_focal: Tensor
    ) -> Tensor:
        at = places[..., :2]
        seen = [sample_small_map(features, at), sample_small_map(middle, at), places, world / WORLD_SCALE]
        hand = self.hand(torch.cat([mean, log_focal], -1))
        return torch.cat([self.joint(torch.cat(seen, -1)), hand[:, None]], 1)


class ResidualMLP(nn.Module):
    """x + MLP(x), pre-norm. Shapes: (N, width) -> (N, width)."""

    def __init__(self, width: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class HandParameters(nn.Module):
    """Hand-model rotations, shape and scale of one hand from its tokens and its mean feature; starts at the mean pose.

    Args:
        features: length of the input. width, depth: of the residual layers. mean_rotations: (16, 3, 3).

    Shapes:
        flat: (N, features); returns rotations in 6D (N, 16, 6), shape (N, 10), log of the scale's correction (N, 1).
    """

    def __init__(self, features: int, width: int, depth: int, mean_rotations: Tensor) -> None:
        super().__init__()
        blocks = (ResidualMLP(width) for _ in range(depth))
        self.hidden = nn.Sequential(nn.Linear(features, width), *blocks, nn.LayerNorm(width), nn.GELU())
        self.out = nn.Linear(width, NUM_MANO_JOINTS * 6 + NUM_SHAPE_PARAMETERS + 1)
        nn.init.xavier_uniform_(self.out.weight, gain=0.01)
        nn.init.zeros_(self.out.bias)
        with torch.no_grad():
            self.out.bias[: NUM_MANO_JOINTS * 6] = mean_rotations[..., :2].flatten()

    def forward(self, flat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        sizes = [NUM_MANO_JOINTS * 6, NUM_SHAPE_PARAMETERS, 1]
        columns, shape, scale = self.out(self.hidden(flat)).split(sizes, -1)
        return columns.reshape(-1, NUM_MANO_JOINTS, 6), shape, scale


class HandRelation(nn.Module):
    """The vector from the own wrist to the other hand's, canonical axes: a correction of where each is placed alone.

    Shapes:
        means: (N, c*); geometry: of the crops; vector: (N, 3) metres, as placed; returns (N, 3) metres.
    """

    def __init__(self, enhanced: int, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(2 * enhanced + RELATION_SIZE + 5, channels)
        self.out = nn.Linear(channels, 3)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, means: Tensor, geometry: CropGeometry, vector: Tensor) -> Tensor:
        others = means.index_select(0, geometry.other)
        known = [means, others, geometry.relation, geometry.log_focal, torch.tanh(vector / (2 * HAND_EXTENT))]
        return vector + RELATION_SCALE * self.out(F.gelu(self.hidden(torch.cat(known, -1))))


class HandStages(ExportableModule[StackedHands]):
    """Features of crops of one hand each to these hands: LGBlock, joint stage, mesh stage, refine stage.

    One hand is a row of the batch, and knows which row is the other hand of its image, so that an image of one hand
    costs half of what one of two does. Every hand is a right hand in its canonical frame
    (:mod:`lgnet_core.geometry.hand_crops`), so one set of weights serves both sides; the results are turned back to the
    camera's axes and to their own side at the end. The joint stage corrects the landmark network's joints; the mesh
    stage regresses the hand model's parameters from the joints' tokens.

    Args:
        config: sizes and switches. deep, middle, early: channels of the encoder's maps. hand_model: of both hands;
            the left one must be the mirror image of the right.

    Shapes:
        early, middle, deep, landmarks, world_landmarks: as :class:`HandLandmarks`, (N, ...).
        intrinsics: (N, 3, 3) K of each crop in the camera's axes. frames: (N, 3, 3) camera axes -> canonical axes.
        other: (N,) row of the other hand of the image, the own row where there is none; a float as every input is.
        returns :class:`StackedHands`.
    """

    INPUTS = ("early", "middle", "deep", "landmarks", "world_landmarks", "intrinsics", "frames", "other")
    OUTPUTS = StackedHands
    fair: Tensor | None

    def __init__(self, config: HandLGNetConfig, early: int, middle: int, deep: int, hand_model: HandModel) -> None:
        super().__init__()
        if not hand_model.mirrored:
            raise ValueError(
                f"hand model {hand_model.name!r}: its left hand is no mirror image of its right one, which networks of "
                "one crop per hand need; train with the bundled hand (results can be given as another model's)"
            )
        channels = config.channels
        enhanced = channels + channels // 4 if config.lgblock else channels
        self.config, self.hand_model = config, hand_model
        self.map_channels = (early, middle, deep)
        self.split = conv_norm_relu(deep, channels)
        self.position = PositionEmbedding(channels, MAP_SIZE)
        self.lgblock = HandLGBlock(channels, deep, hand_model.graph) if config.lgblock else None
        self.tokens = JointTokens(enhanced, middle, deep, channels)
        self.transformer = SelfJointTransformer(channels, config.self_joint_depth, NUM_KEYPOINTS + 1)
        self.correction = nn.Linear(channels, 2)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)
        mean_pose = hand_model.pose_to_rotations(torch.zeros(2, 48, device=hand_model.v_template.device)).cpu()
        flat = (NUM_KEYPOINTS + 1) * channels + deep + NUM_KEYPOINTS * 6
        self.parameters_head = HandParameters(
            flat, config.hidden_channels, config.regressor_depth, mean_pose[Side.RIGHT]
        )
        self.log_variance = variance_head(channels)
        self.relation = HandRelation(enhanced, channels)
        self.refine = None
        if config.refine_stage:
            self.refine = VertexGraph(3 + early, channels + enhanced, config.refine_channels, config.refine_depth)
            self.neighbour_sum = NeighbourSum(hand_model.graph.edge_index, hand_model.graph.node_count)
            smoother = fairing(hand_model.graph.edges.cpu(), hand_model.graph.node_count, config.refine_smoothing)
            self.register_buffer("fair", smoother, persistent=False)

    def forward(
        self,
        early: Tensor,
        middle: Tensor,
        deep: Tensor,
        landmarks: Tensor,
        world_landmarks: Tensor,
        intrinsics: Tensor,
        frames: Tensor,
        other: Tensor,
    ) -> StackedHands:
        geometry = crop_geometry(intrinsics, frames, other.long(), HAND_CROP_SIZE, MAP_SIZE)
        mean = deep.mean((-2, -1))  # (N, C_32)
        features = self.split(deep)
        features = features + self.position(features)
        enhanced = features if self.lgblock is None else self.lgblock(mean, features, geometry)

        # Joint stage: the landmarks and a correction.
        world = world_landmarks
        relative_depth = (world[..., 2:] - world[:, :1, 2:]) / (self.config.depth_box / 2)
        places = pixels_to_normalised(landmarks[..., :2], HAND_CROP_SIZE)
        places = torch.cat([places, relative_depth], -1)  # (N, 21, 3)
        tokens = self.tokens(enhanced, middle, mean, places, world, geometry.log_focal[:, :1])
        tokens = self.transformer(tokens)
        joint_tokens = tokens[:, :NUM_KEYPOINTS]
        correction = F.pad(self.correction(joint_tokens), (0, 1))
        places = places + CORRECTION_SCALE * correction

        # Mesh stage, in the canonical frame.
        precise = self.hand_model.v_template.dtype  # under autocast, geometry stays in the hand model's precision
        flat = [tokens.flatten(1), mean, places.detach().flatten(1), (world / WORLD_SCALE).flatten(1)]
        columns, shape, scale = (x.to(precise) for x in self.parameters_head(torch.cat(flat, -1)))
        rotations = rotation_from_6d(columns)
        mesh = self.hand_model(rotations, shape, side=Side.RIGHT).wrist_relative()
        camera = self._camera(places, world, scale)
        root = camera_root(camera, geometry)
        vertices, joints = mesh.vertices @ frames, mesh.joints @ frames  # to the camera's axes

        # Where a joint is in the crop is the joint stage's; how deep, along the camera's axis, follows from the mesh.
        cells = normalised_to_pixels(places[..., :2], MAP_SIZE)
        depth = depth_to_grid(joints[..., 2:], self.config.depth_box, DEPTH_CELLS)
        turned = (frames.transpose(-1, -2) @ rotations[:, 0]) * geometry.reflection[:, 1:2]
        prediction = StackedHands(
            joints_grid=torch.cat([cells.to(precise), depth], -1),
            joint_log_variance=self.log_variance(joint_tokens)[..., 0].to(precise),
            rotations=torch.cat([turned[:, None], rotations[:, 1:] * geometry.reflection[:, None]], 1),
            shape=shape,
            camera=camera,
            rough_vertices=vertices,
            rough_joints=joints,
            vertices=vertices,
            joints=joints,
            to_other=self._to_other(enhanced.mean((-2, -1)), geometry, root),
        )
        if self.refine is None:
            return prediction
        with torch.no_grad():
            places = project(vertices + root[:, None], geometry.projection)
        near = torch.cat([mesh.vertices / HAND_EXTENT, sample_map(early, places)], -1)
        maps = torch.cat([features, enhanced], 1)
        offsets = self.refine(near, maps, places, self.neighbour_sum, self.fair).to(precise)
        shifts = self.hand_model.joints_from_vertices(offsets, Side.RIGHT)
        wrist = shifts[:, :1]  # the mesh stays relative to its own wrist
        refined = mesh.vertices + offsets - wrist, mesh.joints + shifts - wrist
        return prediction._replace(vertices=refined[0] @ frames, joints=refined[1] @ frames)

    def _camera(self, places: Tensor, world: Tensor, log_scale: Tensor) -> Tensor:
        """Weak-perspective camera: how much larger the joints are in the crop than in metres, corrected; t the wrist's.

        Shapes:
            places, world: (N, 21, 3); log_scale: (N, 1); returns (N, 3).
        """

        def spread(points: Tensor) -> Tensor:  # (N, 21, 2) -> (N, 1)
            return (points - points.mean(1, keepdim=True)).square().sum(-1).mean(1, keepdim=True).add(1e-9).sqrt()

        scale = spread(places[..., :2]) / spread(world[..., :2]).clamp_min(1e-3) * log_scale.exp()
        return torch.cat([scale.clamp(0.5, 50.0), places[:, 0, :2]], -1).to(log_scale.dtype)

    def _to_other(self, means: Tensor, geometry: CropGeometry, root: Tensor) -> Tensor:
        """(N, 3) other wrist - own wrist, camera axes."""
        apart = root.index_select(0, geometry.other) - root
        towards = (apart[:, None] @ geometry.frames.transpose(-1, -2))[:, 0]  # canonical axes
        found = self.relation(means, geometry, towards.to(means.dtype)).to(root.dtype)
        return (found[:, None] @ geometry.frames)[:, 0]

    def description(self) -> dict[str, str]:
        return {"config": repr(self.config), "hand_model": self.hand_model.digest}

    def example_inputs(self) -> tuple[Tensor, ...]:
        """Noise, and crops of a right and a left hand, each alone in its image, so that either may be left out."""
        random = torch.Generator().manual_seed(0)
        early, middle, deep = self.map_channels
        maps = [
            torch.rand(2, channels, MAP_SIZE * k, MAP_SIZE * k, generator=random)
            for channels, k in ((early, 8), (middle, 2), (deep, 1))
        ]
        landmarks = torch.rand(2, NUM_KEYPOINTS, 3, generator=random) * HAND_CROP_SIZE
        world = torch.randn(2, NUM_KEYPOINTS, 3, generator=random) * WORLD_SCALE
        intrinsics = torch.tensor(virtual_intrinsics(HAND_CROP_SIZE), dtype=torch.float32).repeat(2, 1, 1)
        frames = torch.diag_embed(torch.tensor([[1.0, 1, 1], [-1, 1, 1]]))
        return (*maps, landmarks, world, intrinsics @ frames, frames, torch.arange(2.0))


def camera_root(camera: Tensor, geometry: CropGeometry) -> Tensor:
    """Where a weak-perspective camera puts the wrist, in a full-perspective camera.

    As :func:`lgnet_core.geometry.camera.weak_perspective_root`, from what is known of the crop already.

    Shapes:
        camera: (N, 3); returns (N, 3) metres, camera axes.
    """
    ray = (geometry.inverse @ (camera[:, 1:, None] - geometry.projection[:, :2, 2:]))[..., 0]
    return F.pad(ray, (0, 1), value=1.0) * (geometry.focal / camera[:, :1])
