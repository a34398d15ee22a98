"""Graph convolutions: manual examples, PyG as reference, and agreement of all implementations of the neighbour sum."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from lgnet_core.network.lgnet.graph import MAX_DENSE_NODES, ChebConv, GINConv, GraphResiduals, NeighbourSum

PATH = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])  # 0 - 1 - 2


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def mesh_graph(hand_model):
    return hand_model.graph


def random_graph(nodes, edges, seed):
    generator = torch.Generator().manual_seed(seed)
    pairs = torch.randint(nodes, (2, edges), generator=generator)
    pairs = pairs[:, pairs[0] != pairs[1]].sort(0).values.unique(dim=1)
    return torch.cat([pairs, pairs.flip(0)], 1)


def test_neighbour_sum_by_hand():
    x = torch.tensor([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    expected = torch.tensor([[3.0, 30.0], [7.0, 70.0], [6.0, 60.0]])
    assert_close(NeighbourSum(PATH, 3)(x), expected)


def test_gin_by_hand():
    """MLP(x) = 2 ReLU(x - 5) + 1 on sums (3, 7, 6) of the path 1 - 2 - 4."""
    conv = GINConv(1, 1, 1)
    for linear, weight, bias in ((conv.first, 1.0, -5.0), (conv.last, 2.0, 1.0)):
        nn.init.constant_(linear.weight, weight)
        nn.init.constant_(linear.bias, bias)
    y = conv(torch.tensor([[1.0], [2.0], [4.0]]), NeighbourSum(PATH, 3))
    assert_close(y.flatten(), torch.tensor([1.0, 5.0, 3.0]))


@given(nodes=st.sampled_from([5, 40, MAX_DENSE_NODES + 30]), hidden=st.sampled_from([4, 6]), seed=st.integers(0, 50))
@settings(max_examples=15)
def test_gin_equals_torch_geometric(nodes, hidden, seed):
    """With the sum before the first linear layer or, if the layer reduces the width, after it."""
    geometric = pytest.importorskip("torch_geometric.nn")
    edge_index = random_graph(nodes, 3 * nodes, seed)
    conv = GINConv(6, hidden, 4)
    reference = geometric.GINConv(nn.Sequential(nn.Linear(6, hidden), nn.ReLU(), nn.Linear(hidden, 4)))
    missing, unexpected = reference.load_state_dict(conv.state_dict(), strict=False)
    assert (missing, unexpected) == (["eps"], [])  # epsilon is a constant 0
    x = torch.randn(nodes, 3, 6)
    y = conv(x.flatten(0, 1), NeighbourSum(edge_index, nodes)).view(nodes, 3, 4)
    assert_close(y.transpose(0, 1), reference(x.transpose(0, 1), edge_index), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("order", [2, 3, 4])
@pytest.mark.parametrize("nodes", [20, MAX_DENSE_NODES + 30])
def test_chebyshev_equals_torch_geometric(order, nodes):
    geometric = pytest.importorskip("torch_geometric.nn")
    edge_index = random_graph(nodes, 2 * nodes, order)
    conv = ChebConv(6, 4, order)
    reference = geometric.ChebConv(6, 4, order)
    reference.load_state_dict(conv.state_dict(), strict=True)
    x = torch.randn(nodes, 2, 6)
    y = conv(x.flatten(0, 1), NeighbourSum(edge_index, nodes)).view(nodes, 2, 4)
    assert_close(y.transpose(0, 1), reference(x.transpose(0, 1), edge_index), atol=1e-5, rtol=1e-5)


def test_sparse_product_gather_and_dense_matrix_agree(mesh_graph, monkeypatch):
    neighbour_sum = NeighbourSum(mesh_graph.edge_index, 778).double()
    x = torch.randn(778 * 2, 5, dtype=torch.float64)
    sparse = neighbour_sum(x)
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    assert_close(neighbour_sum(x), sparse)
    dense = torch.eye(778, dtype=torch.float64)
    dense[tuple(mesh_graph.edge_index)] = 1
    assert_close(sparse, torch.einsum("ij,jbc->ibc", dense, x.view(778, 2, 5)).flatten(0, 1))


def test_gradients_of_sparse_product_and_gather_agree(mesh_graph, monkeypatch):
    neighbour_sum = NeighbourSum(mesh_graph.edge_index, 778)
    x = torch.randn(778 * 2, 3, requires_grad=True)
    weight = torch.randn(778 * 2, 3)
    sparse = torch.autograd.grad((neighbour_sum(x) * weight).sum(), x)[0]
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    assert_close(torch.autograd.grad((neighbour_sum(x) * weight).sum(), x)[0], sparse)


def test_graph_is_not_saved_with_the_weights(mesh_graph):
    assert not NeighbourSum(mesh_graph.edge_index, 778).state_dict()


def test_residual_blocks_with_zero_scale_are_the_identity():
    residuals = GraphResiduals(lambda: GINConv(4, 4, 4), 4).eval()
    for residual in residuals:
        nn.init.zeros_(residual.second.norm.norm.weight)
    x = torch.randn(3 * 2, 4)
    assert_close(residuals(x, NeighbourSum(PATH, 3)), x)
