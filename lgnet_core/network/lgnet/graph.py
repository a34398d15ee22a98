r"""Graph convolutions on one fixed graph: GIN and Chebyshev layers, and blocks of them.

Tensors are (N B, C): row n B + b is node n of image b. All images lie side by side in the sum over neighbours, which is
one sparse product, and linear layers treat all nodes of all images as rows. On 2 CPU cores (778 nodes, 128 channels, 16
images, forward and backward) the sparse product takes 7 ms, a dense adjacency 40 ms, gathering 36-95 ms. ONNX has no
sparse product, and CUDA has none in half precision: there the neighbours are gathered from a padded table. Graphs of up
to :data:`MAX_DENSE_NODES` nodes use a dense adjacency.

The layers have the parameters of ``torch_geometric.nn.GINConv`` and ``ChebConv`` and are tested against them, but are
not built on them, since PyG gathers and scatters along the edges, which is slow in ONNX Runtime in particular. Times on
one core with these layers and with PyG: lgnet-hand's refine stage (2 hands) 3.0 and 8.8 ms in eager PyTorch, 3.1 and
18.0 ms in ONNX Runtime; LGNet's local graph (512 channels, 1 hand) 11.7 and 18.9 ms, 7.7 and 20.8 ms. With a sparse
adjacency PyG is almost as fast in eager PyTorch, but needs a block-diagonal matrix for each batch size and cannot be
exported.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_core.network.layers import is_exporting, static_sizes

MAX_DENSE_NODES = 128
"""Graphs with at most this many nodes use a dense adjacency matrix."""


class NeighbourSum(nn.Module):
    r"""Sum over each node and its neighbours, :math:`(A + I) x`, on one undirected graph.

    Args:
        edge_index: both directions of every edge, as in PyG.
        nodes: number of nodes, N.

    Shapes:
        edge_index: (2, 2E); x: (N B, C); returns (N B, C).
    """

    table: Tensor
    row_starts: Tensor
    columns: Tensor
    ones: Tensor
    degrees: Tensor
    dense: Tensor | None

    def __init__(self, edge_index: Tensor, nodes: int) -> None:
        super().__init__()
        loops = torch.arange(nodes).repeat(2, 1)
        matrix = torch.zeros(nodes, nodes)
        matrix[tuple(torch.cat([edge_index.cpu(), loops], 1))] = 1
        counts = matrix.sum(1).long()
        rows, columns = matrix.nonzero(as_tuple=True)
        row_starts = F.pad(counts.cumsum(0), (1, 0))
        table = torch.full((nodes, int(counts.max())), nodes)  # N indexes an added row of zeros
        table[rows, torch.arange(len(rows)) - row_starts[rows]] = columns
        buffers = {"table": table, "row_starts": row_starts, "columns": columns, "ones": torch.ones(len(columns))}
        for name, buffer in {**buffers, "degrees": counts.float() - 1}.items():
            self.register_buffer(name, buffer, persistent=False)
        self.register_buffer("dense", matrix if nodes <= MAX_DENSE_NODES else None, persistent=False)
        with warnings.catch_warnings():  # torch warns once per process that CSR support is in beta
            warnings.simplefilter("ignore")
            self._csr_matrix(torch.float32)

    def _csr_matrix(self, dtype: torch.dtype) -> Tensor:
        nodes = len(self.table)
        return torch.sparse_csr_tensor(
            self.row_starts, self.columns, self.ones.to(dtype), (nodes, nodes), check_invariants=False
        )

    def forward(self, x: Tensor) -> Tensor:
        wide = x.reshape(len(self.table), -1)  # (N, B C)
        if self.dense is not None:
            total = self.dense.to(x.dtype) @ wide
        elif x.is_cpu and not is_exporting() and x.dtype in (torch.float32, torch.float64):
            total = torch.mm(self._csr_matrix(x.dtype), wide)
        else:
            padded = F.pad(wide, (0, 0, 0, 1))
            total = padded.index_select(0, self.table.flatten()).view(*self.table.shape, -1).sum(1)
        return total.reshape(-1, *static_sizes(x, 1))


class GINConv(nn.Module):
    r"""Graph isomorphism convolution (LGNet eq. 11; Xu et al. 2019) with :math:`\epsilon = 0`.

    .. math:: y_i = W_2\, \mathrm{ReLU}\Big(W_1 \Big(x_i + \sum_{j \in N(i)} x_j\Big) + b_1\Big) + b_2

    The first linear layer commutes with the sum, which is applied where there are fewer channels.

    Shapes:
        x: (N B, in_channels); returns (N B, out_channels).
    """

    def __init__(self, in_channels: int, hidden_channels: int, out_channels: int) -> None:
        super().__init__()
        self.nn = nn.Sequential(
            nn.Linear(in_channels, hidden_channels), nn.ReLU(), nn.Linear(hidden_channels, out_channels)
        )

    @property
    def first(self) -> nn.Linear:
        """W_1 and b_1."""
        return cast(nn.Linear, self.nn[0])

    @property
    def last(self) -> nn.Linear:
        """W_2 and b_2."""
        return cast(nn.Linear, self.nn[2])

    def forward(self, x: Tensor, neighbour_sum: NeighbourSum) -> Tensor:
        if self.first.out_features < self.first.in_features:
            return self.forward_projected(F.linear(x, self.first.weight), neighbour_sum)
        return self.nn(neighbour_sum(x))

    def forward_projected(self, projected: Tensor, neighbour_sum: NeighbourSum) -> Tensor:
        """The layer from :math:`W_1 x` on, for callers that compute it more cheaply. Shapes: (N B, hidden_channels)."""
        return self.last(F.relu(neighbour_sum(projected) + self.first.bias))


class ChebConv(nn.Module):
    r"""Chebyshev convolution (LGNet eq. 2; Defferrard et al. 2016), symmetric Laplacian, :math:`\lambda_{max} = 2`.

    .. math:: y = \sum_{k<K} T_k(\hat L)\, x W_k + b, \quad \hat L = -D^{-1/2} A D^{-1/2}

    Shapes:
        x: (N B, in_channels); returns (N B, out_channels).
    """

    def __init__(self, in_channels: int, out_channels: int, order: int = 2) -> None:
        super().__init__()
        self.lins = nn.ModuleList([nn.Linear(in_channels, out_channels, bias=False) for _ in range(order)])
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor, neighbour_sum: NeighbourSum) -> Tensor:
        scale = neighbour_sum.degrees.clamp_min(1).rsqrt()[:, None].to(x.dtype)

        def scale_nodes(y: Tensor) -> Tensor:
            return (y.reshape(len(scale), -1) * scale).reshape(-1, *static_sizes(y, 1))

        def laplacian(y: Tensor) -> Tensor:
            y = scale_nodes(y)
            return scale_nodes(y - neighbour_sum(y))  # the sum includes the node itself

        previous, current = x, laplacian(x)
        out = self.lins[0](x) + self.bias
        for lin in self.lins[1:]:
            out = out + lin(current)
            previous, current = current, 2 * laplacian(current) - previous
        return out


class NodeNorm(nn.Module):
    """Batch normalisation over all nodes of all images, then ReLU. Shapes: (N B, C) -> (N B, C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(x))


class GraphBlock(nn.Module):
    """Graph convolution, batch normalisation, ReLU: the paper's GINConvBlock, in handAR's order.

    Shapes:
        x: (N B, C); returns (N B, channels).
    """

    def __init__(self, conv: nn.Module, channels: int) -> None:
        super().__init__()
        self.conv = conv
        self.norm = NodeNorm(channels)

    def forward(self, x: Tensor, neighbour_sum: NeighbourSum) -> Tensor:
        return self.norm(self.conv(x, neighbour_sum))


class GraphResidual(nn.Module):
    """Two graph blocks and a shortcut: the paper's GINResBlock. Shapes: (N B, C) -> (N B, C)."""

    def __init__(self, make_conv: Callable[[], nn.Module], channels: int) -> None:
        super().__init__()
        self.first = GraphBlock(make_conv(), channels)
        self.second = GraphBlock(make_conv(), channels)

    def forward(self, x: Tensor, neighbour_sum: NeighbourSum) -> Tensor:
        return x + self.second(self.first(x, neighbour_sum), neighbour_sum)


class GraphResiduals(nn.ModuleList):
    """Sequence of residual blocks; three by default, as in handAR.

    Args:
        make_conv: creates a graph convolution from ``channels`` to ``channels``.

    Shapes:
        x: (N B, channels); returns the same.
    """

    def __init__(self, make_conv: Callable[[], nn.Module], channels: int, depth: int = 3) -> None:
        super().__init__(GraphResidual(make_conv, channels) for _ in range(depth))

    def forward(self, x: Tensor, neighbour_sum: NeighbourSum) -> Tensor:
        for residual in self.children():
            x = residual(x, neighbour_sum)
        return x
