"""Refine stage: vertex offsets by a graph network on image features sampled at the vertices (LGNet III-D)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_core.geometry.camera import project, weak_perspective_root
from lgnet_core.geometry.coordinates import pixels_to_normalised
from lgnet_core.hand_model import HandLayer
from lgnet_core.hand_model.fairing import fairing_matrix
from lgnet_core.network.layers import PerHand, sample_map, sample_small_map, static_sizes
from lgnet_core.network.lgnet.graph import GINConv, GraphResiduals, NeighbourSum, NodeNorm
from lgnet_core.network.lgnet.mesh_stage import HAND_EXTENT

OFFSET_SCALE = 0.01
"""Metres per unit of the last layer's output."""


def project_weak(points: Tensor, camera: Tensor) -> Tensor:
    """Weak-perspective projection s X + t, in the crop's [-1, 1]. Shapes: (..., N, 3), (..., 3) -> (..., N, 2)."""
    return camera[..., None, :1] * points[..., :2] + camera[..., None, 1:]


def project_full(points: Tensor, camera: Tensor, intrinsics: Tensor, image_size: int) -> Tensor:
    """Perspective projection of wrist-relative points, in the crop's [-1, 1]; the wrist is placed by the weak camera.

    With weak perspective, a near fingertip in an egocentric crop is off by up to 20 pixels.

    Shapes:
        points: (..., N, 3) metres; camera: (..., 3); intrinsics: (..., 3, 3) of the crop; returns (..., N, 2).
    """
    root = weak_perspective_root(camera, intrinsics, image_size)
    return pixels_to_normalised(project(points + root[..., None, :], intrinsics), image_size)


class VertexRefiner(nn.Module):
    """Graph network from vertex features to smoothed vertex offsets of one hand.

    GIN layer, residual blocks, GIN layer with 32 hidden channels. The first linear layer commutes with bilinear
    sampling and with the sum over neighbours. Therefore its part for the two 8x8 maps is applied to their 64 cells
    instead of the features sampled at 778 vertices.

    Args:
        vertex_channels: channels of coordinates, colour and early features. map_channels: of F_h and F*_h together.
        width: of the residual blocks, and half the hidden width of the first layer. depth: number of residual blocks.

    Shapes:
        vertex_features: (B, 778, vertex_channels); maps: (B, map_channels, G, G); points: (B, 778, 2) projections of
        the vertices in the crop's [-1, 1]; fairing: (778, 778), see
        :func:`~lgnet_core.hand_model.fairing.fairing_matrix`, None for no smoothing; returns (B, 778, 3) metres.
    """

    def __init__(self, vertex_channels: int, map_channels: int, width: int, depth: int = 3) -> None:
        super().__init__()
        self.vertex_channels = vertex_channels
        self.head = GINConv(vertex_channels + map_channels, 2 * width, width)
        self.head_norm = NodeNorm(width)
        self.residuals = GraphResiduals(lambda: GINConv(width, width, width), width, depth)
        self.tail = GINConv(width, 32, 3)
        nn.init.zeros_(self.tail.last.weight)  # M_f = M_r at first
        nn.init.zeros_(self.tail.last.bias)

    def forward(
        self,
        vertex_features: Tensor,
        maps: Tensor,
        points: Tensor,
        neighbour_sum: NeighbourSum,
        fairing: Tensor | None,
    ) -> Tensor:
        weight = self.head.first.weight
        vertex_weight, map_weight = weight[:, : self.vertex_channels], weight[:, self.vertex_channels :]
        from_maps = sample_small_map(F.conv2d(maps, map_weight[:, :, None, None]), points)
        projected = (F.linear(vertex_features, vertex_weight) + from_maps).transpose(0, 1)  # (778, B, 2 width)
        x = self.head.forward_projected(projected.reshape(-1, *static_sizes(weight, 0)), neighbour_sum)
        x = self.residuals(self.head_norm(x), neighbour_sum)
        vertices = static_sizes(vertex_features, 1)[0]
        offsets = self.tail(x, neighbour_sum).reshape(vertices, -1, 3).permute(1, 2, 0)  # (B, 3, 778)
        if fairing is not None:
            offsets = offsets.to(fairing.dtype) @ fairing  # symmetric, so no transposition
        return offsets.transpose(1, 2) * OFFSET_SCALE


class RefineStage(nn.Module):
    """Vertex offsets of both hands.

    Vertex features are the coordinates and, sampled at the vertex's detached projection, colour, early features, F_h
    and F*_h. The offsets are smoothed over the mesh: without smoothing, the offsets of uncertain vertices differ from
    those of their neighbours, and fingers crumple.

    Args:
        early_channels: of the backbone's stride-4 map. channels: of F_h. enhanced_channels: of F*_h.
        width: of the graph network. projection: ``full`` or ``weak``.
        smoothing: lambda of :func:`~lgnet_core.hand_model.fairing.fairing_matrix`; 0 for none.

    Shapes:
        vertices: (B, 2, 778, 3) rough, metres; camera: (B, 2, 3); intrinsics: (B, 3, 3); image: (B, 3, S, S);
        early: (B, C_4, S / 4, S / 4); features: (B, 2, c, G, G); enhanced: (B, 2, c*, G, G);
        returns (B, 2, 778, 3) metres.
    """

    fair: Tensor | None

    def __init__(
        self,
        early_channels: int,
        channels: int,
        enhanced_channels: int,
        width: int,
        projection: str,
        smoothing: float,
        hand_model: HandLayer,
    ) -> None:
        super().__init__()
        self.projection = projection
        graph = hand_model.graph
        fair = None
        if smoothing:
            fair = torch.from_numpy(fairing_matrix(graph.edges.cpu().numpy(), graph.node_count, smoothing))
        self.register_buffer("fair", fair, persistent=False)
        self.neighbour_sum = NeighbourSum(graph.edge_index, graph.node_count)
        self.graph = PerHand(lambda: VertexRefiner(6 + early_channels, channels + enhanced_channels, width))

    def forward(
        self,
        vertices: Tensor,
        camera: Tensor,
        intrinsics: Tensor,
        image: Tensor,
        early: Tensor,
        features: Tensor,
        enhanced: Tensor,
    ) -> Tensor:
        with torch.no_grad():
            points = self.project(vertices, camera, intrinsics, *static_sizes(image, -1))  # (B, 2, 778, 2)
        maps = torch.cat([features, enhanced], 2)
        hands, count = static_sizes(points, 1, 2)
        both = points.reshape(-1, hands * count, 2)  # sample the shared maps once for both hands
        sampled = torch.cat([sample_map(image, both), sample_map(early, both)], -1)
        sampled = sampled.reshape(-1, hands, count, *static_sizes(sampled, -1))
        vertex_features = torch.cat([vertices / HAND_EXTENT, sampled], -1)
        offsets = [
            refiner(vertex_features[:, side], maps[:, side], points[:, side], self.neighbour_sum, self.fair)
            for side, refiner in enumerate(self.graph)
        ]
        return torch.stack(offsets, 1).to(vertices.dtype)

    def project(self, vertices: Tensor, camera: Tensor, intrinsics: Tensor, image_size: int) -> Tensor:
        """Project the vertices to the crop's [-1, 1]. Shapes: (B, 2, 778, 2)."""
        if self.projection == "weak":
            return project_weak(vertices, camera)
        return project_full(vertices, camera, intrinsics[:, None], image_size)
