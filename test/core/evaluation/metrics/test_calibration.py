"""The uncertainty of draws whose spread is known is found true; of others it is found wrong, and in which way."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import norm

from lgnet_core.evaluation.calibration import NOMINAL, Calibration, levels

HANDS = 2000
STD = torch.linspace(0.002, 0.03, 20, dtype=torch.float64)  # metres, another for each joint


def draws(seed: int = 0) -> torch.Tensor:
    """(HANDS, 20, 3) errors in metres, Gaussian with STD on every axis."""
    unit = torch.randn(HANDS, 20, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return unit * STD[:, None]


def judged(errors: torch.Tensor, std: torch.Tensor) -> dict[str, torch.Tensor]:
    metric = Calibration()
    log_variance = 2 * std.log().expand(errors.shape[:2])
    metric.update(log_variance, errors, torch.zeros_like(errors), torch.ones(len(errors), dtype=torch.bool))
    return metric.compute()


def test_a_true_sigma_is_found_true():
    """Within four standard errors of 120,000 draws."""
    found = judged(draws(), STD)
    assert pytest.approx((0.682689, 0.954500), abs=1e-6) == NOMINAL
    for k, (share, name) in enumerate(zip(NOMINAL, ("coverage_1sigma", "coverage_2sigma"))):
        error = math.sqrt(share * (1 - share) / (HANDS * 60))
        assert float(found[name]) == pytest.approx(share, abs=4 * error)
        assert found["axes"][k].tolist() == pytest.approx([share] * 3, abs=4 * error * math.sqrt(3))
    assert float(found["calibration_error"]) < 0.004
    torch.testing.assert_close(found["reliability"], levels(), atol=0.006, rtol=0)
    assert float(found["sigma_mm"]) == pytest.approx(1000 * float(STD.square().mean().sqrt()))


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_wrong_sigma_covers_what_a_gaussian_of_that_width_does(factor):
    found = judged(draws(1), STD * factor)
    for k, name in ((1, "coverage_1sigma"), (2, "coverage_2sigma")):
        assert float(found[name]) == pytest.approx(2 * norm.cdf(k * factor) - 1, abs=0.006)
    # The share below each level of the announced distribution is known too, and so the curve and its distance.
    expected = torch.tensor([2 * norm.cdf(norm.ppf((1 + level) / 2) * factor) - 1 for level in levels().tolist()])
    torch.testing.assert_close(found["reliability"], expected.double(), atol=0.006, rtol=0)
    assert float(found["calibration_error"]) == pytest.approx(float((expected - levels()).abs().mean()), abs=0.006)


def test_likelihood_is_scipys_and_best_where_sigma_is_true():
    errors = draws(2)
    found = float(judged(errors, STD)["nll"])
    scale = (1000 * STD)[:, None].expand(20, 3).numpy()
    assert found == pytest.approx(-norm.logpdf(1000 * errors.numpy(), scale=scale).mean(), rel=1e-9)
    assert found < min(float(judged(errors, STD * factor)["nll"]) for factor in (0.8, 1.25))


def test_axes_are_told_apart():
    """Depth three times as uncertain as announced."""
    found = judged(draws(3) * torch.tensor([1.0, 1.0, 3.0]), STD)
    x, y, z = found["axes"][0].tolist()
    assert (x, y) == pytest.approx((NOMINAL[0], NOMINAL[0]), abs=0.02)
    assert z == pytest.approx(2 * norm.cdf(1 / 3) - 1, abs=0.02)


def test_masked_hands_and_joints_do_not_count():
    errors = draws(4)
    errors[HANDS // 2 :] *= 50
    log_variance = 2 * STD.log().expand(HANDS, 20)
    first = torch.arange(HANDS) < HANDS // 2
    for mask in (first, first[:, None].repeat(1, 20)):
        metric = Calibration()
        metric.update(log_variance, errors, torch.zeros_like(errors), mask)
        torch.testing.assert_close(metric.compute(), judged(errors[: HANDS // 2], STD))
