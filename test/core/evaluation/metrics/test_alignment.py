"""The four ways to lay a hand over the true one, on a hand whose errors are worked out by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lgnet_core.evaluation.protocol import MCP_RAW, MCP_SCALED, PROTOCOLS, WRIST_RAW, WRIST_SCALED, bone_length
from lgnet_core.types import MIDDLE_MCP, WRIST

TIP = 12


def random_hands(seed: int, count: int = 3) -> Tensor:
    return 0.1 * torch.randn(count, 21, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def straight(wrist: float, mcp: float, tip: float) -> Tensor:
    """A hand of three joints on the x axis, metres; the others lie on the wrist."""
    joints = torch.zeros(21, 3, dtype=torch.float64)
    joints[:, 0] = wrist
    joints[MIDDLE_MCP, 0], joints[TIP, 0] = mcp, tip
    return joints


@pytest.mark.parametrize(
    ("protocol", "at_wrist", "at_mcp", "at_tip"),
    [
        # true: 0, 100, 180 mm; predicted: 10, 90, 200 mm, so its bone is 80 mm
        (WRIST_RAW, 0, 20, 10),  # predicted from the wrist: 0, 80, 190
        (WRIST_SCALED, 0, 0, 57.5),  # times 100/80: 0, 100, 237.5
        (MCP_RAW, 20, 0, 30),  # from the MCP: -80, 0, 110 against -100, 0, 80
        (MCP_SCALED, 0, 0, 57.5),  # times 100/80: -100, 0, 137.5 against -100, 0, 80
    ],
)
def test_a_hand_worked_out_by_hand(protocol, at_wrist, at_mcp, at_tip):
    said, true = straight(0.010, 0.090, 0.200), straight(0.0, 0.100, 0.180)
    errors = protocol.errors(said, said, true, true)
    assert errors[[WRIST, MIDDLE_MCP, TIP]].tolist() == pytest.approx([at_wrist, at_mcp, at_tip])


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)
def test_errors_do_not_see_where_the_hands_are(protocol):
    """Any shift of either hand changes nothing, and turning both alike changes nothing."""
    said, true = random_hands(0), random_hands(1)
    errors = protocol.errors(said, said, true, true)
    away, turned = said + torch.tensor([1.0, -2.0, 3.0]), torch.linalg.qr(random_hands(2)[0, :3])[0]
    torch.testing.assert_close(protocol.errors(away, away, true, true), errors)
    torch.testing.assert_close(protocol.errors(said @ turned, said @ turned, true @ turned, true @ turned), errors)
    assert (errors[:, protocol.root] == 0).all()


@given(scale=st.floats(0.2, 5.0), other=st.floats(0.2, 5.0))
def test_scaled_protocols_do_not_see_the_size_of_a_hand(scale, other):
    """Each hand has its own scale; the raw protocols see it."""
    said, true = random_hands(3, 2), random_hands(4, 2)
    resized = said * torch.tensor([scale, other], dtype=torch.float64)[:, None, None]
    for protocol in (WRIST_SCALED, MCP_SCALED):
        expected = protocol.errors(said, said, true, true)
        torch.testing.assert_close(protocol.errors(resized, resized, true, true), expected, rtol=1e-9, atol=1e-9)
    if max(abs(scale - 1), abs(other - 1)) > 0.01:
        assert not torch.allclose(
            WRIST_RAW.errors(resized, resized, true, true), WRIST_RAW.errors(said, said, true, true)
        )


def test_vertices_are_scaled_by_the_bone_of_their_joints():
    said, true = random_hands(5), random_hands(6)
    mesh, true_mesh = random_hands(7), random_hands(8)
    found = MCP_SCALED.errors(mesh, said, true_mesh, true)
    for k in range(len(said)):
        scale = (true[k, 9] - true[k, 0]).norm() / (said[k, 9] - said[k, 0]).norm()
        expected = 1000 * (scale * (mesh[k] - said[k, 9]) - (true_mesh[k] - true[k, 9])).norm(dim=-1)
        torch.testing.assert_close(found[k], expected)


def test_a_hand_predicted_as_a_point_has_a_finite_error():
    said = torch.zeros(21, 3)
    assert bone_length(said) > 0
    assert torch.isfinite(WRIST_SCALED.errors(said, said, random_hands(9)[0].float(), random_hands(9)[0].float())).all()
