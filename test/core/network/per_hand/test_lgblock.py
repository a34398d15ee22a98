"""LGBlock for separate crops: equations, symmetry, absent hands, geometry embedding."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from lgnet_core.geometry.crop_pairs import RELATION_FEATURES, CropPairGeometry, crop_pair_geometry
from lgnet_core.network.per_hand.lgblock import GeometryEmbedding, HandLGBlock

C, DEEP, SIZE = 16, 20, 7
PAIRS = torch.tensor([1, 0, 3, 2])
"""Rows of the other hands: two images with two hands each."""
ALONE = torch.arange(4)


@pytest.fixture
def block(hand_model) -> HandLGBlock:
    torch.manual_seed(0)
    block = HandLGBlock(C, DEEP, hand_model.graph).double().eval()
    for parameter in block.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    return block


def inputs(seed: int = 0, other: Tensor = PAIRS) -> tuple[Tensor, Tensor, CropPairGeometry]:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(4, *shape, generator=generator, dtype=torch.float64)

    intrinsics = torch.eye(3, dtype=torch.float64).repeat(4, 1, 1)
    geometry = crop_pair_geometry(intrinsics, intrinsics, other, 224, SIZE)
    geometry = geometry._replace(relation=normal(RELATION_FEATURES), cells=normal(SIZE * SIZE, 2))
    return normal(DEEP), normal(C, SIZE, SIZE), geometry


@torch.no_grad()
def test_swapping_rows_swaps_the_outputs(block):
    """Both hands share the weights."""
    means, features, geometry = inputs()
    enhanced = block(means, features, geometry)
    assert enhanced.shape == (4, C + C // 4, SIZE, SIZE)
    swapped = CropPairGeometry(*(value[PAIRS] for value in geometry))._replace(other=PAIRS)
    assert_close(block(means[PAIRS], features[PAIRS], swapped), enhanced[PAIRS])


@torch.no_grad()
def test_output_starts_with_the_input_features(block):
    means, features, geometry = inputs()
    enhanced = block(means, features, geometry)
    assert torch.equal(enhanced[:, :C], features)
    assert not torch.allclose(enhanced[0, C:], enhanced[1, C:]), "each hand has its own global features"


@pytest.mark.parametrize("other", [PAIRS, ALONE, torch.tensor([3, 1, 2, 0])])
@torch.no_grad()
def test_wiring_matches_the_equations(block, other):
    """With LGFA modules replaced by weighted sums and no local graph (F' = F), the output reveals the wiring."""
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


@pytest.mark.parametrize("unit", ["local_unit", "global_unit"])
@torch.no_grad()
def test_block_without_a_unit(hand_model, unit):
    """It has no parameters of that unit, and equals the complete block in which the unit passes on its first input."""
    torch.manual_seed(0)
    without = HandLGBlock(C, DEEP, hand_model.graph, **{unit: False}).double().eval()
    full = HandLGBlock(C, DEEP, hand_model.graph).double().eval()
    result = full.load_state_dict(without.state_dict(), strict=False)
    prefixes = ("local_graph.", "lgfa_local.", "lgfa_hand.") if unit == "local_unit" else ("lgfa_global.",)
    assert result.missing_keys
    assert all(name.startswith(prefixes) for name in result.missing_keys)
    for lgfa in [full.lgfa_hand] if unit == "local_unit" else [full.lgfa_global]:
        lgfa.forward = lambda first, second, present=None: first
    assert_close(without(*inputs()), full(*inputs()))


def test_absent_hands_are_masked(block):
    """The map that replaces an absent hand is masked in keys and values."""
    means, features, geometry = inputs(other=torch.tensor([1, 0, 2, 3]))
    masks: list[Tensor] = []
    for lgfa in (block.lgfa_local, block.lgfa_global):
        lgfa.register_forward_hook(lambda module, args, out: masks.append(args[2]))
    block(means, features, geometry)
    assert [present.tolist() for present in masks] == [[1, 1, 0, 0]] * 2


def test_each_hand_depends_on_the_other_hand_of_its_image_only(block):
    means, features, geometry = inputs()
    features.requires_grad_()
    enhanced = block(means, features, geometry)
    gradient = torch.autograd.grad(enhanced[0, C:].sum(), features)[0]
    assert gradient[1].abs().max() > 0
    assert not gradient[2:].any()


def test_output_depends_on_the_crop_geometry(block):
    means, features, geometry = inputs()
    with torch.no_grad():
        plain = block(means, features, geometry)
        shifted = block(means, features, geometry._replace(cells=geometry.cells + 0.5))
    assert (plain - shifted)[:, C:].abs().max() > 1e-6


def test_geometry_embedding_of_each_cell():
    """Two linear layers on the position of the cell and the relation of the crops."""
    torch.manual_seed(0)
    embed = GeometryEmbedding(C).double()
    _, features, geometry = inputs()
    with torch.no_grad():
        embedding = embed(geometry, features)
        assert embedding.shape == features.shape
        for cell in (0, 9, 48):  # row by row
            inputs_of_cell = torch.cat([geometry.cells[1, cell], geometry.relation[1]])
            expected = embed.out(torch.relu(embed.hidden(inputs_of_cell)))
            assert_close(embedding[1, :, cell // SIZE, cell % SIZE], expected)


def test_every_parameter_has_a_gradient(block):
    means, features, geometry = inputs()
    block(means, features, geometry).square().sum().backward()
    assert [name for name, p in block.named_parameters() if p.grad is None or not p.grad.any()] == []
