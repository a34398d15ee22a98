r"""Graph of the hand mesh and its coarsened graph of 63 nodes.

Source: LGNet section III-B (63 nodes, dense matching encoding); the paper does not describe the clustering. Here: seeds
by farthest point sampling along the edges, clusters by geodesic distance, and a few iterations that move each seed to
the centre of its cluster (Lloyd). Each cluster is a shortest-path tree, hence connected. Only exactly rounded
operations affect the result, so the clusters are the same on every machine.
"""

from __future__ import annotations

import heapq

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lgnet_core.hand_model.fairing import mesh_edges, unique_edges

COARSE_NODES = 63
_LLOYD_ITERATIONS = 8


class Graph(nn.Module):
    """An undirected graph on a fixed set of nodes, in the representations that graph layers use.

    Buffers (not persistent):
        edges: (E, 2) long, each pair once, smaller index first, sorted.
        edge_index: (2, 2E) long, both directions, as in torch-geometric.
        neighbours: (N, D) long, D the maximum degree; rows are padded with their own node.
        neighbour_mask: (N, D) bool, False at the padding.
        encoding: (N, 3) in [0, 1], the dense matching encoding: rest position, scaled to its range along each axis.
    """

    edges: Tensor
    edge_index: Tensor
    neighbours: Tensor
    neighbour_mask: Tensor
    encoding: Tensor

    def __init__(self, edges: NDArray[np.integer], positions: NDArray[np.floating]) -> None:
        super().__init__()
        count = len(positions)
        edges = unique_edges(edges)
        directed = np.concatenate([edges, edges[:, ::-1]])
        directed = directed[np.lexsort((directed[:, 1], directed[:, 0]))]
        degree = np.bincount(directed[:, 0], minlength=count)
        column = np.arange(len(directed)) - np.repeat(np.cumsum(degree) - degree, degree)
        neighbours = np.tile(np.arange(count)[:, None], (1, degree.max()))
        neighbours[directed[:, 0], column] = directed[:, 1]
        low, high = positions.min(0), positions.max(0)
        for name, array in {
            "edges": edges,
            "edge_index": np.ascontiguousarray(directed.T).astype(np.int64),
            "neighbours": neighbours.astype(np.int64),
            "neighbour_mask": np.arange(degree.max()) < degree[:, None],
            "encoding": ((positions - low) / (high - low)).astype(np.float32),
        }.items():
            self.register_buffer(name, torch.from_numpy(array), persistent=False)

    @property
    def node_count(self) -> int:
        return self.neighbours.shape[0]

    def extra_repr(self) -> str:
        return f"nodes={self.node_count}, edges={self.edges.shape[0]}, max_degree={self.neighbours.shape[1]}"


class MeshGraph(Graph):
    """Graph of a triangle mesh and its coarsened graph.

    Additional buffers and modules:
        assignment: (N,) long, the coarse node of each vertex.
        pooling: (63, N) float, means over the clusters: rows sum to 1, ``pooling @ x`` pools (N, C) to (63, C).
        coarse: :class:`Graph` of the 63 clusters; two are connected if a mesh edge connects their vertices.

    Args:
        faces: (F, 3) vertex indices.
        vertices: (N, 3) rest positions, metres; they determine the clusters.

    Raises:
        ValueError: if the mesh is not connected.
    """

    assignment: Tensor
    pooling: Tensor

    def __init__(self, faces: NDArray[np.integer], vertices: NDArray[np.floating]) -> None:
        positions = vertices.astype(np.float64)
        super().__init__(mesh_edges(faces), positions)
        edges = self.edges.numpy()
        assignment = _clusters(edges, positions, COARSE_NODES)
        member = (np.arange(COARSE_NODES)[:, None] == assignment).astype(np.float64)
        pooling = member / member.sum(1, keepdims=True)
        crossing = assignment[edges]
        self.coarse = Graph(crossing[crossing[:, 0] != crossing[:, 1]], pooling @ positions)
        self.register_buffer("assignment", torch.from_numpy(assignment), persistent=False)
        self.register_buffer("pooling", torch.from_numpy(pooling.astype(np.float32)), persistent=False)


def _clusters(edges: NDArray[np.integer], positions: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Partition the nodes into ``count`` connected clusters of similar extent; returns (N,) cluster indices."""
    difference = positions[edges[:, 0]] - positions[edges[:, 1]]
    lengths = np.sqrt(difference[:, 0] ** 2 + difference[:, 1] ** 2 + difference[:, 2] ** 2)
    adjacent: list[list[tuple[int, float]]] = [[] for _ in positions]
    for (a, b), length in zip(edges.tolist(), lengths.tolist()):
        adjacent[a].append((b, length))
        adjacent[b].append((a, length))

    distance, owner = [np.inf] * len(positions), [-1] * len(positions)
    seeds: list[int] = []
    for _ in range(count):
        seeds.append(int(np.argmax(distance)))  # the first is node 0: all distances are infinite
        _assign_nearest_seed({seeds[-1]: len(seeds) - 1}, adjacent, distance, owner)
        if np.isinf(distance).any():
            raise ValueError("mesh graph: the mesh is not connected; its faces must connect all vertices")

    for _ in range(_LLOYD_ITERATIONS):
        labels = np.array(owner)
        sizes = np.bincount(labels, minlength=count)
        centres = np.stack([np.bincount(labels, positions[:, k], count) / sizes for k in range(3)], 1)
        offset = positions - centres[labels]
        from_centre = offset[:, 0] ** 2 + offset[:, 1] ** 2 + offset[:, 2] ** 2
        order = np.lexsort((from_centre, labels))
        seeds = order[np.cumsum(sizes) - sizes].tolist()  # the node of each cluster that is closest to its centre
        distance, owner = [np.inf] * len(positions), [-1] * len(positions)
        _assign_nearest_seed({seed: label for label, seed in enumerate(seeds)}, adjacent, distance, owner)
    return np.array(owner, np.int64)


def _assign_nearest_seed(
    seeds: dict[int, int], adjacent: list[list[tuple[int, float]]], distance: list[float], owner: list[int]
) -> None:
    """Multi-source Dijkstra from seeds (node: label): updates, in place, all nodes that are closer to a new seed."""
    queue = [(0.0, label, seed) for seed, label in seeds.items()]
    heapq.heapify(queue)
    while queue:
        length_so_far, label, node = heapq.heappop(queue)
        if length_so_far >= distance[node]:
            continue
        distance[node], owner[node] = length_so_far, label
        for other, length in adjacent[node]:
            if length_so_far + length < distance[other]:
                heapq.heappush(queue, (length_so_far + length, label, other))
