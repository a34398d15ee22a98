"""LGBlock between two crops: its equations, its symmetry, and hands that are not there."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from lgnet_core.network.crop_geometry import RELATION_SIZE, CropGeometry
from lgnet_core.network.hand_lgblock import GeometryEmbedding, HandLGBlock
from lgnet_core.types import Side

C, DEEP, SIZE = 16, 20, 7
BOTH = torch.ones(3, 2, dtype=torch.float64)


@pytest.fixture
def block(hand_model) -> HandLGBlock:
    torch.manual_seed(0)
    block = HandLGBlock(C, DEEP, hand_model.graph).double().eval()
    for parameter in block.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    return block


def inputs(seed: int = 0) -> tuple[Tensor, Tensor, CropGeometry]:
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(3, 2, *shape, generator=random, dtype=torch.float64)

    geometry = CropGeometry(normal(1), normal(RELATION_SIZE), normal(SIZE * SIZE, 2))
    return normal(DEEP), normal(C, SIZE, SIZE), geometry


def swapped(geometry: CropGeometry) -> CropGeometry:
    return CropGeometry(*(value.flip(1) for value in geometry))


@torch.no_grad()
def test_one_set_of_weights_serves_both_hands(block):
    """What is given for one side and for the other changes places, and so do the results."""
    means, features, geometry = inputs()
    found = block(means, features, geometry, BOTH)
    assert found.shape == (3, 2, C + C // 4, SIZE, SIZE)
    assert_close(block(means.flip(1), features.flip(1), swapped(geometry), BOTH), found.flip(1))


@torch.no_grad()
def test_own_features_pass_through(block):
    means, features, geometry = inputs()
    found = block(means, features, geometry, BOTH)
    assert torch.equal(found[:, :, :C], features)
    assert not torch.allclose(found[:, 0, C:], found[:, 1, C:]), "global features are each hand's own"


@torch.no_grad()
def test_wiring_is_the_equations(block):
    """With LGFAs that add their inputs, weighted, it can be read from the result; without a graph F' is F."""
    block.local_graph.forward = lambda mean, features: features
    for weight, lgfa in ((2, block.lgfa_local), (3, block.lgfa_hand), (5, block.lgfa_global)):
        lgfa.forward = lambda first, second, present=None, weight=weight: weight * first + second
    torch.nn.init.zeros_(block.compress.weight)
    torch.nn.init.zeros_(block.compress.bias)
    block.compress.weight[0, 0] = 1
    means, features, geometry = inputs()
    embedding = block.geometry(geometry, features)
    interacted = []
    for side in Side:
        local = 2 * features[:, side] + (features[:, side.other] + embedding[:, side])
        interacted.append(3 * features[:, side] + local)
    found = block(means, features, geometry, BOTH)
    for side in Side:
        expected = 5 * interacted[side] + (interacted[side.other] + embedding[:, side])
        assert_close(found[:, side, C], expected[:, 0])


@pytest.mark.parametrize("side", Side)
def test_each_hand_attends_to_the_other_where_it_is_there(block, side):
    """Keys and values of an absent hand are masked; what it repeats enters the queries alone."""
    means, features, geometry = inputs()
    asked: list[Tensor] = []
    for lgfa in (block.lgfa_local, block.lgfa_global):
        lgfa.register_forward_hook(lambda module, args, out: asked.append(args[2].view(3, 2)))
    given = torch.tensor([[1.0, 1], [1, 0], [0, 1]], dtype=torch.float64)
    block(means, features, geometry, given)
    assert len(asked) == 2
    for present in asked:
        assert torch.equal(present[:, side], given[:, side.other])


def test_each_hand_sees_the_other(block):
    means, features, geometry = inputs()
    features.requires_grad_()
    found = block(means, features, geometry, BOTH)
    gradient = torch.autograd.grad(found[:, Side.RIGHT, C:].sum(), features)[0]
    assert gradient[:, Side.LEFT].abs().max() > 0


def test_geometry_enters_by_the_other_hands_cells(block):
    means, features, geometry = inputs()
    with torch.no_grad():
        plain = block(means, features, geometry, BOTH)
        moved = block(means, features, geometry._replace(cells=geometry.cells + 0.5), BOTH)
    assert (plain - moved)[:, :, C:].abs().max() > 1e-6


def test_the_embedding_is_one_of_each_cell():
    """A cell's own place and the crops' relation, through two linear layers."""
    torch.manual_seed(0)
    embed = GeometryEmbedding(C).double()
    _, features, geometry = inputs()
    with torch.no_grad():
        found = embed(geometry, features)
        assert found.shape == features.shape
        for cell in (0, 9, 48):  # row by row
            known = torch.cat([geometry.cells[1, 0, cell], geometry.relation[1, 0]])
            expected = embed.out(torch.relu(embed.hidden(known)))
            assert_close(found[1, 0, :, cell // SIZE, cell % SIZE], expected)


def test_every_parameter_learns(block):
    means, features, geometry = inputs()
    block(means, features, geometry, BOTH).square().sum().backward()
    assert [name for name, p in block.named_parameters() if p.grad is None or not p.grad.any()] == []
