"""PCK against its definition, and its area against the mean of capped errors."""

from __future__ import annotations

import pytest
import torch

from lgnet_core.evaluation.metrics.alignment import ALIGNMENTS, MCP_SCALED, WRIST_RAW
from lgnet_core.evaluation.metrics.errors import MPJPE
from lgnet_core.evaluation.metrics.pck import MAX_THRESHOLD, NUM_THRESHOLDS, PCK, area_under_curve, thresholds


def hands(seed: int, count: int = 40, spread: float = 0.02) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return spread * torch.randn(count, 21, 3, generator=generator, dtype=torch.float64)


def pck_curve(predicted: torch.Tensor, true: torch.Tensor, alignment=WRIST_RAW, mask=None) -> torch.Tensor:
    metric = PCK(alignment)
    metric.update(predicted, true, torch.ones(len(predicted), dtype=torch.bool) if mask is None else mask)
    return metric.compute()


def test_thresholds():
    values = thresholds()
    assert (len(values), float(values[0]), float(values[-1])) == (200, 0, 50)
    assert float(values[1]) == pytest.approx(50 / 199)


def test_curve_of_constant_error():
    """All joints but the root have an error of 10 mm."""
    true = hands(0)
    predicted = true + torch.tensor([0.0, 0.01 - 1e-9, 0.0])
    predicted[:, 0] = true[:, 0]
    curve = pck_curve(predicted, true)
    assert curve[thresholds() < 10].tolist() == pytest.approx([1 / 21] * 40)
    assert (curve[thresholds() >= 10] == 1).all()


@pytest.mark.parametrize("alignment", ALIGNMENTS, ids=lambda p: p.name)
@pytest.mark.parametrize("spread", [0.003, 0.02, 0.08])
def test_area_equals_one_minus_mean_of_capped_errors(alignment, spread):
    """AUC(0-50) = 1 - E[min(e, 50)] / 50, up to half a step of the thresholds; so MPJPE >= 50 (1 - AUC)."""
    predicted, true = hands(1), hands(2) + hands(3, spread=spread)
    area = float(area_under_curve(pck_curve(predicted, true, alignment)))
    errors = alignment.errors(predicted, predicted, true, true)
    assert area == pytest.approx(
        1 - float(errors.clamp_max(MAX_THRESHOLD).mean()) / MAX_THRESHOLD, abs=0.6 / NUM_THRESHOLDS
    )
    mean = MPJPE(alignment)
    mean.update(predicted, true, torch.ones(len(predicted), dtype=torch.bool))
    assert float(mean.compute()) >= MAX_THRESHOLD * (1 - area) - 0.6 * MAX_THRESHOLD / NUM_THRESHOLDS


def test_area_of_perfect_and_useless_predictions():
    true = hands(4, spread=1.0)
    assert float(area_under_curve(pck_curve(true, true))) == 1
    assert float(area_under_curve(pck_curve(true * 100, true))) == pytest.approx(1 / 21)


def test_masked_joints_do_not_count():
    predicted, true = hands(5), hands(6)
    mask = torch.arange(40) % 2 == 0
    torch.testing.assert_close(
        pck_curve(predicted, true, MCP_SCALED, mask), pck_curve(predicted[mask], true[mask], MCP_SCALED)
    )
    joints = mask[:, None].repeat(1, 21)
    torch.testing.assert_close(
        pck_curve(predicted, true, MCP_SCALED, joints), pck_curve(predicted[mask], true[mask], MCP_SCALED)
    )


def test_non_finite_prediction_is_never_correct():
    true = hands(7)
    assert (pck_curve(true * torch.nan, true) == 0).all()
