"""Mesh graph: consistency of its representations, and connected, reproducible clusters."""

import numpy as np
import pytest
import torch

from lgnet_core.hand_model import COARSE_NODES, Graph, MeshGraph


def adjacency(graph):
    """Dense 0/1 adjacency from the edge list."""
    matrix = torch.zeros(graph.node_count, graph.node_count)
    matrix[graph.edge_index[0], graph.edge_index[1]] = 1
    return matrix


def count_components(matrix):
    """Number of connected components of a dense adjacency."""
    reach = ((matrix + torch.eye(len(matrix))) > 0).float()
    for _ in range(int(np.ceil(np.log2(len(matrix)))) + 1):
        reach = (reach @ reach > 0).float()
    return len({tuple(row.nonzero().flatten().tolist()) for row in reach})


@pytest.fixture(scope="module", params=["mesh", "coarse"])
def graph(request, hand_model):
    return hand_model.graph if request.param == "mesh" else hand_model.graph.coarse


def test_edges_are_those_of_the_faces(hand_model):
    expected = {frozenset(pair) for a, b, c in hand_model.faces[0].tolist() for pair in ((a, b), (b, c), (c, a))}
    assert {frozenset(pair) for pair in hand_model.graph.edges.tolist()} == expected
    assert len(hand_model.graph.edges) == len(expected)
    # one open boundary of 16 edges: 2 E = 3 F + 16
    assert 2 * len(expected) == 3 * len(hand_model.faces[0]) + 16


def test_both_hands_have_the_same_edges(hand_model):
    left = hand_model.faces[1].numpy()
    edges = np.unique(np.sort(left[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1), axis=0)
    assert np.array_equal(edges, hand_model.graph.edges)


def test_representations_of_a_graph_agree(graph):
    matrix = adjacency(graph)
    assert torch.equal(matrix, matrix.T)
    assert matrix.diagonal().sum() == 0
    assert matrix.sum() == graph.edge_index.shape[1] == 2 * len(graph.edges)
    assert (graph.edges[:, 0] < graph.edges[:, 1]).all()
    assert torch.equal(graph.neighbour_mask.sum(1), matrix.sum(1).long())
    for node in range(graph.node_count):
        listed, real = graph.neighbours[node], graph.neighbour_mask[node]
        assert listed[real].tolist() == matrix[node].nonzero().flatten().tolist()
        assert (listed[~real] == node).all()
    features = torch.randn(graph.node_count, 5, generator=torch.Generator().manual_seed(0))
    gathered = (features[graph.neighbours] * graph.neighbour_mask[..., None]).sum(1)
    torch.testing.assert_close(gathered, matrix @ features)


def test_encoding_fills_the_unit_cube(graph):
    assert graph.encoding.shape == (graph.node_count, 3)
    assert torch.equal(graph.encoding.amin(0), torch.zeros(3))
    assert torch.equal(graph.encoding.amax(0), torch.ones(3))
    assert len(torch.unique(graph.encoding, dim=0)) == graph.node_count


def test_pooling_averages_over_clusters(hand_model):
    graph = hand_model.graph
    assert graph.pooling.shape == (COARSE_NODES, 778)
    torch.testing.assert_close(graph.pooling.sum(1), torch.ones(COARSE_NODES))
    values = torch.randn(778, 2, generator=torch.Generator().manual_seed(0))
    pooled = graph.pooling @ values
    for node in (0, 30, 62):
        torch.testing.assert_close(pooled[node], values[graph.assignment == node].mean(0))


def test_clusters_are_connected_and_adjacent_ones_share_a_coarse_edge(hand_model):
    graph = hand_model.graph
    matrix = adjacency(graph)
    assert count_components(matrix) == count_components(adjacency(graph.coarse)) == 1
    assert graph.assignment.unique().tolist() == list(range(COARSE_NODES))
    for node in range(COARSE_NODES):
        inside = graph.assignment == node
        assert count_components(matrix[inside][:, inside]) == 1
    member = (graph.pooling > 0).float()
    touching = ((member @ matrix @ member.T) > 0).float().fill_diagonal_(0)
    assert torch.equal(touching, adjacency(graph.coarse))


def test_clusters_are_compact_and_within_one_finger(hand_model):
    """No cluster spans more than 5 cm or contains two fingertips."""
    graph, template = hand_model.graph, hand_model.v_template[0]
    for node in range(COARSE_NODES):
        points = template[graph.assignment == node]
        assert torch.cdist(points, points).max() < 0.05
    assert len(set(graph.assignment[hand_model.tip_vertices].tolist())) == 5


def test_clusters_are_deterministic_and_invariant_to_scale_and_face_order(hand_model):
    faces, template = hand_model.faces[0].numpy(), hand_model.v_template[0].numpy()
    assert torch.equal(MeshGraph(faces, template).assignment, hand_model.graph.assignment)
    assert torch.equal(MeshGraph(faces, 2.0 * template).assignment, hand_model.graph.assignment)
    shuffled = np.random.default_rng(0).permutation(len(faces))
    assert torch.equal(MeshGraph(faces[shuffled], template).assignment, hand_model.graph.assignment)


def test_small_graph():
    """A path 0-1-2 with duplicate and reversed edges."""
    graph = Graph(np.array([[1, 0], [0, 1], [2, 1]]), np.array([[0.0, 0, 0], [1, 2, 3], [2, 4, 6]]))
    assert graph.edges.tolist() == [[0, 1], [1, 2]]
    assert graph.edge_index.tolist() == [[0, 1, 1, 2], [1, 0, 2, 1]]
    assert graph.neighbours.tolist() == [[1, 0], [0, 2], [1, 2]]
    assert graph.neighbour_mask.tolist() == [[True, False], [True, True], [True, False]]
    assert graph.encoding.tolist() == [[0, 0, 0], [0.5, 0.5, 0.5], [1, 1, 1]]


def test_disconnected_mesh_is_rejected(hand_model):
    faces, template = hand_model.faces[0].numpy(), hand_model.v_template[0].numpy()
    with pytest.raises(ValueError, match="not connected"):
        MeshGraph(np.concatenate([faces, faces + 778]), np.concatenate([template, template + 1]))
