"""The curve of correct keypoints against its definition, and the area under it against the mean of capped errors."""

from __future__ import annotations

import pytest
import torch

from lgnet_core.evaluation.metrics import MPJPE
from lgnet_core.evaluation.pck import FARTHEST, PCK, STEPS, area_under_curve, thresholds
from lgnet_core.evaluation.protocol import MCP_SCALED, PROTOCOLS, WRIST_RAW


def hands(seed: int, count: int = 40, spread: float = 0.02) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return spread * torch.randn(count, 21, 3, generator=generator, dtype=torch.float64)


def curve_of(said: torch.Tensor, true: torch.Tensor, protocol=WRIST_RAW, mask=None) -> torch.Tensor:
    metric = PCK(protocol)
    metric.update(said, true, torch.ones(len(said), dtype=torch.bool) if mask is None else mask)
    return metric.compute()


def test_thresholds_are_two_hundred_up_to_fifty_millimetres():
    found = thresholds()
    assert (len(found), float(found[0]), float(found[-1])) == (200, 0, 50)
    assert float(found[1]) == pytest.approx(50 / 199)


def test_curve_of_one_error():
    """All joints but the root 10 mm off: the root is right from 0 on, the others from 10 mm on."""
    true = hands(0)
    said = true + torch.tensor([0.0, 0.01 - 1e-9, 0.0])
    said[:, 0] = true[:, 0]
    curve = curve_of(said, true)
    assert curve[thresholds() < 10].tolist() == pytest.approx([1 / 21] * 40)
    assert (curve[thresholds() >= 10] == 1).all()


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)
@pytest.mark.parametrize("spread", [0.003, 0.02, 0.08])
def test_area_is_one_less_the_mean_of_capped_errors(protocol, spread):
    """AUC(0-50) = 1 - E[min(e, 50)] / 50, up to half a step of the thresholds; so MPJPE >= 50 (1 - AUC)."""
    said, true = hands(1), hands(2) + hands(3, spread=spread)
    area = float(area_under_curve(curve_of(said, true, protocol)))
    errors = protocol.errors(said, said, true, true)
    assert area == pytest.approx(1 - float(errors.clamp_max(FARTHEST).mean()) / FARTHEST, abs=0.6 / STEPS)
    mean = MPJPE(protocol)
    mean.update(said, true, torch.ones(len(said), dtype=torch.bool))
    assert float(mean.compute()) >= FARTHEST * (1 - area) - 0.6 * FARTHEST / STEPS


def test_perfect_and_hopeless():
    true = hands(4, spread=1.0)
    assert float(area_under_curve(curve_of(true, true))) == 1
    assert float(area_under_curve(curve_of(true * 100, true))) == pytest.approx(1 / 21)


def test_masked_joints_do_not_count():
    said, true = hands(5), hands(6)
    mask = torch.arange(40) % 2 == 0
    torch.testing.assert_close(curve_of(said, true, MCP_SCALED, mask), curve_of(said[mask], true[mask], MCP_SCALED))
    joints = mask[:, None].repeat(1, 21)
    torch.testing.assert_close(curve_of(said, true, MCP_SCALED, joints), curve_of(said[mask], true[mask], MCP_SCALED))


def test_a_prediction_that_is_no_number_is_never_right():
    true = hands(7)
    assert (curve_of(true * torch.nan, true) == 0).all()
