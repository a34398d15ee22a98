"""Refine stage: a graph network moves the rough mesh's vertices by what the image shows there (LGNet III-D)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_core.geometry.camera import pixels_to_normalised, project, weak_perspective_root
from lgnet_core.hand_model import HandModel
from lgnet_core.network.layers import PerHand, sample_map, sample_small_map, sizes
from lgnet_core.network.lgnet.graph import GINConv, GraphResiduals, NeighbourSum, NodeNorm
from lgnet_core.network.lgnet.mesh_stage import HAND_EXTENT

OFFSET_SCALE = 0.01
"""Metres per unit of the last layer."""


def project_weak(points: Tensor, camera: Tensor) -> Tensor:
    """Weak perspective s X + t, in the crop's [-1, 1]. Shapes: (..., N, 3), (..., 3) -> (..., N, 2)."""
    return camera[..., None, :1] * points[..., :2] + camera[..., None, 1:]


def project_full(points: Tensor, camera: Tensor, intrinsics: Tensor, image_size: int) -> Tensor:
    """Full perspective of wrist-relative points, the wrist where the weak camera puts it, in the crop's [-1, 1].

    Weak perspective alone misplaces a near fingertip by up to 20 pixels of an egocentric crop.

    Shapes:
        points: (..., N, 3) metres; camera: (..., 3); intrinsics: (..., 3, 3) of the crop; returns (..., N, 2).
    """
    root = weak_perspective_root(camera, intrinsics, image_size)
    return pixels_to_normalised(project(points + root[..., None, :], intrinsics), image_size)


def fairing(edges: Tensor, count: int, strength: float) -> Tensor:
    r"""(I + \lambda L)^{-1} with the Laplacian L = D - A of a graph: one step of implicit fairing.

    What nodes near each other share stays, what differs from one to the next goes: constant fields are unchanged.
    Source: Desbrun et al. 1999, "Implicit Fairing of Irregular Meshes using Diffusion and Curvature Flow", with uniform
    weights.

    Args:
        edges: each once. count: of the nodes. strength: lambda.

    Shapes:
        edges: (E, 2) long; returns (N, N), symmetric, its rows sum to 1.
    """
    adjacent = torch.zeros(count, count, dtype=torch.float64)
    adjacent[edges[:, 0], edges[:, 1]] = adjacent[edges[:, 1], edges[:, 0]] = 1
    laplacian = torch.diag(adjacent.sum(1)) - adjacent
    return torch.linalg.inv(torch.eye(count, dtype=torch.float64) + strength * laplacian).float()


class VertexGraph(nn.Module):
    """Features per vertex to smoothed offsets, for one hand: GIN, residual blocks, GIN with 32 inside.

    The first linear layer commutes with bilinear reading as it does with the sum over neighbours. So its part for the
    two 8x8 maps is applied to their 64 cells, not to what 778 vertices would read there.

    Args:
        near_channels: of coordinates, colour and early map. map_channels: of F_h and F*_h together.
        width: of the residual blocks; twice that inside the first layer. depth: how many residual blocks.

    Shapes:
        near: (B, 778, near_channels); maps: (B, map_channels, G, G); places: (B, 778, 2) in the crop's [-1, 1];
        fair: (778, 778) of :func:`fairing`, None: no smoothing; returns (B, 778, 3) metres.
    """

    def __init__(self, near_channels: int, map_channels: int, width: int, depth: int = 3) -> None:
        super().__init__()
        self.near_channels = near_channels
        self.head = GINConv(near_channels + map_channels, 2 * width, width)
        self.head_norm = NodeNorm(width)
        self.residuals = GraphResiduals(lambda: GINConv(width, width, width), width, depth)
        self.tail = GINConv(width, 32, 3)
        nn.init.zeros_(self.tail.last.weight)  # M_f = M_r at the start
        nn.init.zeros_(self.tail.last.bias)

    def forward(
        self, near: Tensor, maps: Tensor, places: Tensor, neighbour_sum: NeighbourSum, fair: Tensor | None
    ) -> Tensor:
        weight = self.head.first.weight
        near_weight, map_weight = weight[:, : self.near_channels], weight[:, self.near_channels :]
        far = sample_small_map(F.conv2d(maps, map_weight[:, :, None, None]), places)
        projected = (F.linear(near, near_weight) + far).transpose(0, 1)  # (778, B, 2 width)
        x = self.head.combine(projected.reshape(-1, *sizes(weight, 0)), neighbour_sum)
        x = self.residuals(self.head_norm(x), neighbour_sum)
        offsets = self.tail(x, neighbour_sum).reshape(*sizes(near, 1), -1, 3).permute(1, 2, 0)  # (B, 3, 778)
        if fair is not None:
            offsets = offsets.to(fair.dtype) @ fair  # it is symmetric
        return offsets.transpose(1, 2) * OFFSET_SCALE


class RefineStage(nn.Module):
    """Offsets of all vertices of both hands.

    Each vertex reads colour, early map, F_h and F*_h at its projection (detached) and knows its own coordinates. The
    offsets are smoothed over the mesh, since vertices of which the network is unsure move apart from their neighbours:
    fingers crumple.

    Args:
        early_channels: of the backbone's stride-4 map. channels: of F_h. enhanced_channels: of F*_h.
        width: of the graph network. projection: ``full`` or ``weak``. smoothing: lambda of :func:`fairing`; 0: none.

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
        hand_model: HandModel,
    ) -> None:
        super().__init__()
        self.projection = projection
        graph = hand_model.graph
        fair = fairing(graph.edges.cpu(), graph.node_count, smoothing) if smoothing else None
        self.register_buffer("fair", fair, persistent=False)
        self.neighbour_sum = NeighbourSum(hand_model.graph.edge_index, hand_model.graph.node_count)
        self.graph = PerHand(lambda: VertexGraph(6 + early_channels, channels + enhanced_channels, width))

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
            places = self.places(vertices, camera, intrinsics, *sizes(image, -1))  # (B, 2, 778, 2)
        maps = torch.cat([features, enhanced], 2)
        hands, count = sizes(places, 1, 2)
        both = places.reshape(-1, hands * count, 2)  # one reading of the shared maps for both hands
        near = torch.cat([sample_map(image, both), sample_map(early, both)], -1)
        near = near.reshape(-1, hands, count, *sizes(near, -1))
        near = torch.cat([vertices / HAND_EXTENT, near], -1)
        offsets = [
            graph(near[:, side], maps[:, side], places[:, side], self.neighbour_sum, self.fair)
            for side, graph in enumerate(self.graph)
        ]
        return torch.stack(offsets, 1).to(vertices.dtype)

    def places(self, vertices: Tensor, camera: Tensor, intrinsics: Tensor, image_size: int) -> Tensor:
        """Where the vertices are in the crop's [-1, 1]. Shapes: (B, 2, 778, 2)."""
        if self.projection == "weak":
            return project_weak(vertices, camera)
        return project_full(vertices, camera, intrinsics[:, None], image_size)
