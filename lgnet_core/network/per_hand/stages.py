"""LGNet's stages for separate crops of the two hands, on the features of the hand-landmark network."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_core.geometry.camera import project, virtual_intrinsics
from lgnet_core.geometry.coordinates import depth_to_grid, normalised_to_pixels, pixels_to_normalised
from lgnet_core.geometry.crop_pairs import CropPairGeometry, crop_pair_geometry
from lgnet_core.hand_model import HandLayer, HandMesh
from lgnet_core.hand_model.fairing import fairing_matrix
from lgnet_core.network.config import HandLGNetConfig
from lgnet_core.network.exportable import ExportableModule
from lgnet_core.network.layers import PositionEmbedding, conv_norm_relu, sample_map
from lgnet_core.network.lgnet.graph import NeighbourSum
from lgnet_core.network.lgnet.joint_stage import DEPTH_CELLS
from lgnet_core.network.lgnet.mesh_stage import HAND_EXTENT, SelfJointTransformer, rotation_from_6d, variance_head
from lgnet_core.network.lgnet.refine_stage import VertexRefiner, project_weak
from lgnet_core.network.per_hand.baselines import ContextCascade, HandEABlock, Parameters
from lgnet_core.network.per_hand.heads import WORLD_SCALE, HandParameterRegressor, JointTokens, WristOffsetHead
from lgnet_core.network.per_hand.lgblock import HandLGBlock
from lgnet_core.network.prediction import HAND_CROP_SIZE, StackedHands
from lgnet_core.types import NUM_KEYPOINTS, Side

MAP_SIZE = HAND_CROP_SIZE // 32
CORRECTION_SCALE = 0.1
"""Half crop sides per unit of the correction of the 2D joints."""


class HandStages(ExportableModule[StackedHands]):
    """LGBlock, joint stage, mesh stage and refine stage on the features of one crop per hand.

    Each row of the batch is one hand, with the row of the other hand of its image, so that an image of one hand costs
    half as much as one of two hands. Every hand is processed as a right hand in its canonical frame
    (:mod:`lgnet_core.geometry.hand_crops`), so both sides share the weights; the outputs are transformed back to the
    camera axes and the actual side. The joint stage corrects the landmarks of the landmark network; the mesh stage
    regresses the hand-model parameters from the joint tokens.

    Args:
        config: sizes and switches.
        early, middle, deep: channels of the encoder's maps.
        hand_model: of both hands; the left one must be the mirror image of the right one.

    Shapes:
        early, middle, deep, landmarks, world_landmarks: (N, ...), see
            :class:`~lgnet_core.network.detector.hand_landmark.HandLandmarks`.
        intrinsics: (N, 3, 3) K of each crop in camera axes. frames: (N, 3, 3) camera axes -> canonical axes.
        other: (N,) row of the image's other hand, or of the hand itself if there is none; float, like all inputs.
        returns :class:`StackedHands`.
    """

    INPUTS = ("early", "middle", "deep", "landmarks", "world_landmarks", "intrinsics", "frames", "other")
    OUTPUTS = StackedHands
    fair: Tensor | None

    def __init__(self, config: HandLGNetConfig, early: int, middle: int, deep: int, hand_model: HandLayer) -> None:
        super().__init__()
        if not hand_model.mirrored:
            raise ValueError(
                f"hand model {hand_model.name!r}: its left hand is not the mirror image of its right one, as networks "
                "with one crop per hand require; train with the bundled hand model (results can be retargeted)"
            )
        channels, enhanced = config.channels, config.enhanced_channels
        self.config, self.hand_model = config, hand_model
        self.map_channels = (early, middle, deep)
        self.split = conv_norm_relu(deep, channels)
        self.position = PositionEmbedding(channels, MAP_SIZE)
        self.lgblock = _build_interaction(config, deep, hand_model)
        self.tokens = JointTokens(enhanced, middle, deep, channels)
        self.transformer = SelfJointTransformer(channels, config.self_joint_depth, NUM_KEYPOINTS + 1)
        self.correction = nn.Linear(channels, 2)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)
        mean_pose = hand_model.pose_to_rotations(torch.zeros(2, 48, device=hand_model.v_template.device)).cpu()
        flat = (NUM_KEYPOINTS + 1) * channels + deep + NUM_KEYPOINTS * 6
        regressor = (config.hidden_channels, config.regressor_depth, mean_pose[Side.RIGHT])
        self.parameters_head = HandParameterRegressor(flat, *regressor)
        self.cascade = None
        if config.interaction == "cascade":
            self.cascade = ContextCascade(((deep, 1), (middle, 2)), channels, *regressor)
        self.log_variance = variance_head(channels)
        self.relation = WristOffsetHead(enhanced, channels)
        self.refine = None
        if config.refine_stage:
            self.refine = VertexRefiner(3 + early, channels + enhanced, config.refine_channels, config.refine_depth)
            self.neighbour_sum = NeighbourSum(hand_model.graph.edge_index, hand_model.graph.node_count)
            edges = hand_model.graph.edges.cpu().numpy()
            smoothing = fairing_matrix(edges, hand_model.graph.node_count, config.refine_smoothing)
            self.register_buffer("fair", torch.from_numpy(smoothing), persistent=False)

    def forward(self, *inputs: Tensor) -> StackedHands:
        return self.forward_intermediates(*inputs)[0]

    def forward_intermediates(
        self,
        early: Tensor,
        middle: Tensor,
        deep: Tensor,
        landmarks: Tensor,
        world_landmarks: Tensor,
        intrinsics: Tensor,
        frames: Tensor,
        other: Tensor,
    ) -> tuple[StackedHands, Tensor]:
        """:meth:`forward`, and the enhanced maps F*_h (N, c*, 7, 7), which have a loss of their own."""
        geometry = crop_pair_geometry(intrinsics, frames, other.long(), HAND_CROP_SIZE, MAP_SIZE)
        mean = deep.mean((-2, -1))  # (N, C_32)
        features = self.split(deep)
        features = features + self.position(features)
        enhanced = features if self.lgblock is None else self.lgblock(mean, features, geometry)

        # Joint stage: landmarks plus a correction.
        world = world_landmarks
        relative_depth = (world[..., 2:] - world[:, :1, 2:]) / (self.config.depth_box / 2)
        points = pixels_to_normalised(landmarks[..., :2], HAND_CROP_SIZE)
        crop_joints = torch.cat([points, relative_depth], -1)  # (N, 21, 3)
        tokens = self.tokens(enhanced, middle, mean, crop_joints, world, geometry.log_focal[:, :1])
        tokens = self.transformer(tokens)
        joint_tokens = tokens[:, :NUM_KEYPOINTS]
        correction = F.pad(self.correction(joint_tokens), (0, 1))
        crop_joints = crop_joints + CORRECTION_SCALE * correction

        # Mesh stage, in the canonical frame.
        dtype = self.hand_model.v_template.dtype  # under autocast, geometry stays in the hand model's precision
        flat = [tokens.flatten(1), mean, crop_joints.detach().flatten(1), (world / WORLD_SCALE).flatten(1)]
        parameters = self.parameters_head(torch.cat(flat, -1))

        def place(parameters: Parameters) -> tuple[HandMesh, Tensor, Tensor]:
            """Wrist-relative mesh in the canonical frame, weak-perspective camera, and rotations."""
            columns, shape, log_scale = (x.to(dtype) for x in parameters)
            rotations = rotation_from_6d(columns)
            mesh = self.hand_model(rotations, shape, side=Side.RIGHT).wrist_relative()
            return mesh, self._camera(crop_joints, world, log_scale), rotations

        if self.cascade is not None:

            def project_joints(parameters: Parameters) -> Tensor:
                mesh, camera, _ = place(parameters)
                return project_weak(mesh.joints, camera)

            parameters = self.cascade(parameters, (deep, middle), geometry, project_joints)
        mesh, camera, rotations = place(parameters)
        root = weak_perspective_root(camera, geometry)
        vertices, joints = mesh.vertices @ frames, mesh.joints @ frames  # in camera axes

        # 2.5D joints: position in the crop from the joint stage, depth along the optical axis from the mesh.
        cells = normalised_to_pixels(crop_joints[..., :2], MAP_SIZE)
        depth = depth_to_grid(joints[..., 2:], self.config.depth_box, DEPTH_CELLS)
        root_rotation = (frames.transpose(-1, -2) @ rotations[:, 0]) * geometry.reflection[:, 1:2]
        prediction = StackedHands(
            joints_grid=torch.cat([cells.to(dtype), depth], -1),
            joint_log_variance=self.log_variance(joint_tokens)[..., 0].to(dtype),
            rotations=torch.cat([root_rotation[:, None], rotations[:, 1:] * geometry.reflection[:, None]], 1),
            shape=parameters[1].to(dtype),
            camera=camera,
            rough_vertices=vertices,
            rough_joints=joints,
            vertices=vertices,
            joints=joints,
            to_other=self._to_other(enhanced.mean((-2, -1)), geometry, root),
        )
        if self.refine is None:
            return prediction, enhanced
        with torch.no_grad():
            points = project(vertices + root[:, None], geometry.projection)
        vertex_features = torch.cat([mesh.vertices / HAND_EXTENT, sample_map(early, points)], -1)
        maps = torch.cat([features, enhanced], 1)
        offsets = self.refine(vertex_features, maps, points, self.neighbour_sum, self.fair).to(dtype)
        shifts = self.hand_model.joints_from_vertices(offsets, Side.RIGHT)
        wrist = shifts[:, :1]  # keep the mesh relative to its own wrist
        refined = mesh.vertices + offsets - wrist, mesh.joints + shifts - wrist
        return prediction._replace(vertices=refined[0] @ frames, joints=refined[1] @ frames), enhanced

    def _camera(self, crop_joints: Tensor, world: Tensor, log_scale: Tensor) -> Tensor:
        """Weak-perspective camera.

        Its scale is the ratio of the joints' spread in the crop to that in metres, times the predicted correction; its
        translation is the wrist's position.

        Shapes:
            crop_joints, world: (N, 21, 3); log_scale: (N, 1); returns (N, 3).
        """

        def spread(points: Tensor) -> Tensor:  # (N, 21, 2) -> (N, 1)
            return (points - points.mean(1, keepdim=True)).square().sum(-1).mean(1, keepdim=True).add(1e-9).sqrt()

        scale = spread(crop_joints[..., :2]) / spread(world[..., :2]).clamp_min(1e-3) * log_scale.exp()
        return torch.cat([scale.clamp(0.5, 50.0), crop_joints[:, 0, :2]], -1).to(log_scale.dtype)

    def _to_other(self, means: Tensor, geometry: CropPairGeometry, root: Tensor) -> Tensor:
        """(N, 3) other wrist - own wrist, camera axes."""
        offset = root.index_select(0, geometry.other) - root
        canonical = (offset[:, None] @ geometry.frames.transpose(-1, -2))[:, 0]
        corrected = self.relation(means, geometry, canonical.to(means.dtype)).to(root.dtype)
        return (corrected[:, None] @ geometry.frames)[:, 0]

    def description(self) -> dict[str, str]:
        return {"config": repr(self.config), "hand_model": self.hand_model.digest}

    def example_inputs(self) -> tuple[Tensor, ...]:
        """Noise features of a right and a left hand, each alone in its image, so that either row can be dropped."""
        generator = torch.Generator().manual_seed(0)
        early, middle, deep = self.map_channels
        maps = [
            torch.rand(2, channels, MAP_SIZE * k, MAP_SIZE * k, generator=generator)
            for channels, k in ((early, 8), (middle, 2), (deep, 1))
        ]
        landmarks = torch.rand(2, NUM_KEYPOINTS, 3, generator=generator) * HAND_CROP_SIZE
        world = torch.randn(2, NUM_KEYPOINTS, 3, generator=generator) * WORLD_SCALE
        intrinsics = torch.tensor(virtual_intrinsics(HAND_CROP_SIZE), dtype=torch.float32).repeat(2, 1, 1)
        frames = torch.diag_embed(torch.tensor([[1.0, 1, 1], [-1, 1, 1]]))
        return (*maps, landmarks, world, intrinsics @ frames, frames, torch.arange(2.0))


def _build_interaction(config: HandLGNetConfig, deep: int, hand_model: HandLayer) -> HandLGBlock | HandEABlock | None:
    """The module that enhances each hand's map by the other hand's."""
    if config.interaction == "eablock":
        return HandEABlock(config.channels)
    if config.interaction in ("cascade", "none"):
        return None
    local_unit, global_unit = (config.interaction in ("lgblock", unit) for unit in ("local", "global"))
    return HandLGBlock(config.channels, deep, hand_model.graph, local_unit, global_unit)


def weak_perspective_root(camera: Tensor, geometry: CropPairGeometry) -> Tensor:
    """Wrist position in a perspective camera that corresponds to a weak-perspective camera.

    As :func:`lgnet_core.geometry.camera.weak_perspective_root`, but from the precomputed geometry of the crops.

    Shapes:
        camera: (N, 3); returns (N, 3) metres, camera axes.
    """
    ray = (geometry.inverse @ (camera[:, 1:, None] - geometry.projection[:, :2, 2:]))[..., 0]
    return F.pad(ray, (0, 1), value=1.0) * (geometry.focal / camera[:, :1])
