"""The four alignments, on hands with errors calculated by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lgnet_core.evaluation.metrics.alignment import (
    ALIGNMENTS,
    MCP_RAW,
    MCP_SCALED,
    WRIST_RAW,
    WRIST_SCALED,
    bone_length,
)
from lgnet_core.types import MIDDLE_MCP, WRIST

TIP = 12


def random_hands(seed: int, count: int = 3) -> Tensor:
    return 0.1 * torch.randn(count, 21, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def hand_on_x_axis(wrist: float, mcp: float, tip: float) -> Tensor:
    """A hand with three joints on the x axis, metres; the others coincide with the wrist."""
    joints = torch.zeros(21, 3, dtype=torch.float64)
    joints[:, 0] = wrist
    joints[MIDDLE_MCP, 0], joints[TIP, 0] = mcp, tip
    return joints


@pytest.mark.parametrize(
    ("alignment", "at_wrist", "at_mcp", "at_tip"),
    [
        # true: 0, 100, 180 mm; predicted: 10, 90, 200 mm, so its bone is 80 mm
        (WRIST_RAW, 0, 20, 10),  # predicted from the wrist: 0, 80, 190
        (WRIST_SCALED, 0, 0, 57.5),  # times 100/80: 0, 100, 237.5
        (MCP_RAW, 20, 0, 30),  # from the MCP: -80, 0, 110 against -100, 0, 80
        (MCP_SCALED, 0, 0, 57.5),  # times 100/80: -100, 0, 137.5 against -100, 0, 80
    ],
)
def test_errors_calculated_by_hand(alignment, at_wrist, at_mcp, at_tip):
    predicted, true = hand_on_x_axis(0.010, 0.090, 0.200), hand_on_x_axis(0.0, 0.100, 0.180)
    errors = alignment.errors(predicted, predicted, true, true)
    assert errors[[WRIST, MIDDLE_MCP, TIP]].tolist() == pytest.approx([at_wrist, at_mcp, at_tip])


@pytest.mark.parametrize("alignment", ALIGNMENTS, ids=lambda p: p.name)
def test_errors_are_invariant_to_translation_and_common_rotation(alignment):
    """Each hand may be translated, and both rotated alike."""
    predicted, true = random_hands(0), random_hands(1)
    errors = alignment.errors(predicted, predicted, true, true)
    translated, rotation = predicted + torch.tensor([1.0, -2.0, 3.0]), torch.linalg.qr(random_hands(2)[0, :3])[0]
    torch.testing.assert_close(alignment.errors(translated, translated, true, true), errors)
    torch.testing.assert_close(
        alignment.errors(predicted @ rotation, predicted @ rotation, true @ rotation, true @ rotation), errors
    )
    assert (errors[:, alignment.root] == 0).all()


@given(scale=st.floats(0.2, 5.0), other=st.floats(0.2, 5.0))
def test_scaled_alignment_is_invariant_to_hand_size(scale, other):
    """Each hand has its own scale; raw alignments depend on it."""
    predicted, true = random_hands(3, 2), random_hands(4, 2)
    resized = predicted * torch.tensor([scale, other], dtype=torch.float64)[:, None, None]
    for alignment in (WRIST_SCALED, MCP_SCALED):
        expected = alignment.errors(predicted, predicted, true, true)
        torch.testing.assert_close(alignment.errors(resized, resized, true, true), expected, rtol=1e-9, atol=1e-9)
    if max(abs(scale - 1), abs(other - 1)) > 0.01:
        assert not torch.allclose(
            WRIST_RAW.errors(resized, resized, true, true), WRIST_RAW.errors(predicted, predicted, true, true)
        )


def test_vertices_are_scaled_by_the_bone_of_their_joints():
    predicted, true = random_hands(5), random_hands(6)
    mesh, true_mesh = random_hands(7), random_hands(8)
    found = MCP_SCALED.errors(mesh, predicted, true_mesh, true)
    for k in range(len(predicted)):
        scale = (true[k, 9] - true[k, 0]).norm() / (predicted[k, 9] - predicted[k, 0]).norm()
        expected = 1000 * (scale * (mesh[k] - predicted[k, 9]) - (true_mesh[k] - true[k, 9])).norm(dim=-1)
        torch.testing.assert_close(found[k], expected)


def test_degenerate_hand_has_finite_error():
    predicted = torch.zeros(21, 3)
    assert bone_length(predicted) > 0
    assert torch.isfinite(
        WRIST_SCALED.errors(predicted, predicted, random_hands(9)[0].float(), random_hands(9)[0].float())
    ).all()
