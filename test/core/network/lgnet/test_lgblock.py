"""LGBlock and the graph part of its local unit: shapes, wiring, switches."""

import pytest
import torch
from torch.testing import assert_close

from lgnet_core.network.config import LGNetConfig
from lgnet_core.network.lgnet.lgblock import LGBlock
from lgnet_core.network.lgnet.local_graph import GridLocalGraph, MeshLocalGraph, _lattice

DEEP, C, SIZE = 20, 16, 8


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def make(hand_model, **switches):
    return LGBlock(LGNetConfig(channels=C, **switches), DEEP, hand_model.graph).eval()


def inputs(size=SIZE):
    return torch.randn(2, DEEP, size, size), torch.randn(2, 2, C, size, size)


@pytest.mark.parametrize("size", [8, 4])
@pytest.mark.parametrize("layer", ["gin", "chebyshev"])
@pytest.mark.parametrize("local_graph", ["mesh63", "grid", "none"])
def test_shapes(hand_model, local_graph, layer, size):
    block = make(hand_model, local_graph=local_graph, graph_layer=layer)
    assert block(*inputs(size)).shape == (2, 2, C + C // 4, size, size)


@pytest.mark.parametrize("switch", [{}, {"local_unit": False}, {"global_unit": False}])
def test_output_starts_with_the_input_features(hand_model, switch):
    """F*_h starts with F_h; the added channels are common to both hands only with the global unit."""
    backbone_map, features = inputs()
    enhanced = make(hand_model, **switch)(backbone_map, features)
    assert torch.equal(enhanced[:, :, :C], features)
    common = torch.equal(enhanced[:, 0, C:], enhanced[:, 1, C:])
    assert common == switch.get("global_unit", True)


def test_switches_remove_their_modules(hand_model):
    full = {name for name, _ in make(hand_model).named_children()}
    assert full == {"local_graph", "lgfa_local", "lgfa_hand", "lgfa_global", "compress"}
    without_local = {name for name, _ in make(hand_model, local_unit=False).named_children()}
    assert without_local == {"lgfa_global", "compress"}
    without_global = {name for name, _ in make(hand_model, global_unit=False).named_children()}
    assert without_global == full - {"lgfa_global"}
    assert "local_graph" not in {name for name, _ in make(hand_model, local_graph="none").named_children()}


def test_wiring_is_equations_7_to_10(hand_model):
    """With LGFA modules replaced by weighted sums, the output reveals the wiring."""
    block = make(hand_model, local_graph="none")
    for weight, lgfa in (
        (2, block.lgfa_local),
        (3, block.lgfa_hand[0]),
        (5, block.lgfa_hand[1]),
        (7, block.lgfa_global),
    ):
        lgfa.forward = lambda first, second, weight=weight: weight * first + second
    torch.nn.init.zeros_(block.compress.weight)
    torch.nn.init.zeros_(block.compress.bias)
    block.compress.weight.data[0, 0] = 1
    backbone_map, features = inputs()
    right, left = features[:, 0], features[:, 1]
    local = 2 * right + left
    expected = 7 * (3 * right + local) + (5 * left + local)
    assert_close(block(backbone_map, features)[:, 0, C], expected[:, 0], atol=1e-4, rtol=1e-5)


def test_each_hand_depends_on_the_other(hand_model):
    backbone_map, features = inputs()
    features.requires_grad_()
    enhanced = make(hand_model)(backbone_map, features)
    gradient = torch.autograd.grad(enhanced[:, 0, C:].sum(), features)[0]
    assert gradient[:, 1].abs().max() > 0


def test_mesh_graph_is_initialised_to_the_identity_and_trainable(hand_model):
    unit = MeshLocalGraph(DEEP, C, "gin", hand_model.graph.coarse)
    mean, features = torch.randn(2, DEEP), torch.randn(2, C, SIZE, SIZE)
    assert torch.equal(unit(mean, features), features)
    torch.nn.init.normal_(unit.projection.weight)
    unit(mean, features).square().sum().backward()
    assert all(p.grad is not None for p in unit.parameters())
    assert unit.encoding.shape == (63, 3)
    assert_close(unit.encoding.amax(0), torch.ones(3))
    assert_close(unit.encoding.amin(0), -torch.ones(3))


def test_lattice_connects_the_eight_neighbours():
    lattice = _lattice(3, 4, torch.device("cpu"))
    impulse = torch.zeros(12, 1)
    impulse[5] = 1  # row 1, column 1
    reached = lattice(impulse).flatten().nonzero().flatten().tolist()
    assert reached == [0, 1, 2, 4, 5, 6, 8, 9, 10]


def test_grid_graph_commutes_with_rotation_of_the_map():
    unit = GridLocalGraph(C, "gin").double().eval()
    features = torch.randn(2, C, 4, 4, dtype=torch.float64)
    assert_close(unit(None, features.rot90(1, (2, 3))), unit(None, features).rot90(1, (2, 3)))
