"""LGBlock between two crops: its equations, its symmetry, and hands that are not there."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from lgnet_core.geometry.crop_geometry import RELATION_SIZE, CropGeometry, crop_geometry
from lgnet_core.network.per_hand.lgblock import GeometryEmbedding, HandLGBlock

C, DEEP, SIZE = 16, 20, 7
PAIRS = torch.tensor([1, 0, 3, 2])
"""Rows of the other hands: two images of two hands each."""
ALONE = torch.arange(4)


@pytest.fixture
def block(hand_model) -> HandLGBlock:
    torch.manual_seed(0)
    block = HandLGBlock(C, DEEP, hand_model.graph).double().eval()
    for parameter in block.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    return block


def inputs(seed: int = 0, other: Tensor = PAIRS) -> tuple[Tensor, Tensor, CropGeometry]:
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(4, *shape, generator=random, dtype=torch.float64)

    intrinsics = torch.eye(3, dtype=torch.float64).repeat(4, 1, 1)
    geometry = crop_geometry(intrinsics, intrinsics, other, 224, SIZE)
    geometry = geometry._replace(relation=normal(RELATION_SIZE), cells=normal(SIZE * SIZE, 2))
    return normal(DEEP), normal(C, SIZE, SIZE), geometry


@torch.no_grad()
def test_one_set_of_weights_serves_both_hands(block):
    """Hands that change their rows change those of the results."""
    means, features, geometry = inputs()
    found = block(means, features, geometry)
    assert found.shape == (4, C + C // 4, SIZE, SIZE)
    swapped = CropGeometry(*(value[PAIRS] for value in geometry))._replace(other=PAIRS)
    assert_close(block(means[PAIRS], features[PAIRS], swapped), found[PAIRS])


@torch.no_grad()
def test_own_features_pass_through(block):
    means, features, geometry = inputs()
    found = block(means, features, geometry)
    assert torch.equal(found[:, :C], features)
    assert not torch.allclose(found[0, C:], found[1, C:]), "global features are each hand's own"


@pytest.mark.parametrize("other", [PAIRS, ALONE, torch.tensor([3, 1, 2, 0])])
@torch.no_grad()
def test_wiring_is_the_equations(block, other):
    """With LGFAs that add their inputs, weighted, it can be read from the result; without a graph F' is F."""
    block.local_graph.forward = lambda mean, features: features
    for weight, lgfa in ((2, block.lgfa_local), (3, block.lgfa_hand), (5, block.lgfa_global)):
        lgfa.forward = lambda first, second, present=None, weight=weight: weight * first + second
    torch.nn.init.zeros_(block.compress.weight)
    torch.nn.init.zeros_(block.compress.bias)
    block.compress.weight[0, 0] = 1
    means, features, geometry = inputs(other=other)
    embedding = block.geometry(geometry, features)
    local = 2 * features + (features[other] + embedding)
    interacted = 3 * features + local
    expected = 5 * interacted + (interacted[other] + embedding)
    assert_close(block(means, features, geometry)[:, C], expected[:, 0])


def test_each_hand_attends_to_the_other_where_it_is_there(block):
    """Keys and values of a hand that stands in for another one are masked; it enters the queries alone."""
    means, features, geometry = inputs(other=torch.tensor([1, 0, 2, 3]))
    asked: list[Tensor] = []
    for lgfa in (block.lgfa_local, block.lgfa_global):
        lgfa.register_forward_hook(lambda module, args, out: asked.append(args[2]))
    block(means, features, geometry)
    assert [present.tolist() for present in asked] == [[1, 1, 0, 0]] * 2


def test_each_hand_sees_the_other_of_its_image_alone(block):
    means, features, geometry = inputs()
    features.requires_grad_()
    found = block(means, features, geometry)
    gradient = torch.autograd.grad(found[0, C:].sum(), features)[0]
    assert gradient[1].abs().max() > 0
    assert not gradient[2:].any()


def test_geometry_enters_by_the_other_hands_cells(block):
    means, features, geometry = inputs()
    with torch.no_grad():
        plain = block(means, features, geometry)
        moved = block(means, features, geometry._replace(cells=geometry.cells + 0.5))
    assert (plain - moved)[:, C:].abs().max() > 1e-6


def test_the_embedding_is_one_of_each_cell():
    """A cell's own place and the crops' relation, through two linear layers."""
    torch.manual_seed(0)
    embed = GeometryEmbedding(C).double()
    _, features, geometry = inputs()
    with torch.no_grad():
        found = embed(geometry, features)
        assert found.shape == features.shape
        for cell in (0, 9, 48):  # row by row
            known = torch.cat([geometry.cells[1, cell], geometry.relation[1]])
            expected = embed.out(torch.relu(embed.hidden(known)))
            assert_close(found[1, :, cell // SIZE, cell % SIZE], expected)


def test_every_parameter_learns(block):
    means, features, geometry = inputs()
    block(means, features, geometry).square().sum().backward()
    assert [name for name, p in block.named_parameters() if p.grad is None or not p.grad.any()] == []
