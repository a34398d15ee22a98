"""Calibration metrics of samples with known standard deviations, correct and wrong."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import norm

from lgnet_core.evaluation.metrics.calibration import NOMINAL, Calibration, best_temperature, levels

NUM_RANDOM_HANDS = 2000
STD = torch.linspace(0.002, 0.03, 20, dtype=torch.float64)  # metres, different for each joint


def draws(seed: int = 0) -> torch.Tensor:
    """(HANDS, 20, 3) errors in metres, Gaussian with STD on every axis."""
    unit = torch.randn(NUM_RANDOM_HANDS, 20, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return unit * STD[:, None]


def calibrate(errors: torch.Tensor, std: torch.Tensor) -> dict[str, torch.Tensor]:
    metric = Calibration()
    log_variance = 2 * std.log().expand(errors.shape[:2])
    metric.update(log_variance, errors, torch.zeros_like(errors), torch.ones(len(errors), dtype=torch.bool))
    return metric.compute()


def test_true_sigma_is_calibrated():
    """Within four standard errors of 120,000 draws."""
    calibration = calibrate(draws(), STD)
    assert pytest.approx((0.682689, 0.954500), abs=1e-6) == NOMINAL
    for k, (fraction, name) in enumerate(zip(NOMINAL, ("coverage_1sigma", "coverage_2sigma"))):
        error = math.sqrt(fraction * (1 - fraction) / (NUM_RANDOM_HANDS * 60))
        assert float(calibration[name]) == pytest.approx(fraction, abs=4 * error)
        assert calibration["axes"][k].tolist() == pytest.approx([fraction] * 3, abs=4 * error * math.sqrt(3))
    assert float(calibration["calibration_error"]) < 0.004
    torch.testing.assert_close(calibration["reliability"], levels(), atol=0.006, rtol=0)
    assert float(calibration["sigma_mm"]) == pytest.approx(1000 * float(STD.square().mean().sqrt()))


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_wrong_sigma_has_gaussian_coverage(factor):
    calibration = calibrate(draws(1), STD * factor)
    for k, name in ((1, "coverage_1sigma"), (2, "coverage_2sigma")):
        assert float(calibration[name]) == pytest.approx(2 * norm.cdf(k * factor) - 1, abs=0.006)
    # The reliability curve is known analytically, and so is its distance from the diagonal.
    expected = torch.tensor([2 * norm.cdf(norm.ppf((1 + level) / 2) * factor) - 1 for level in levels().tolist()])
    torch.testing.assert_close(calibration["reliability"], expected.double(), atol=0.006, rtol=0)
    assert float(calibration["calibration_error"]) == pytest.approx(
        float((expected - levels()).abs().mean()), abs=0.006
    )


def test_likelihood_equals_scipy_and_is_best_for_true_sigma():
    errors = draws(2)
    calibration = float(calibrate(errors, STD)["nll"])
    scale = (1000 * STD)[:, None].expand(20, 3).numpy()
    assert calibration == pytest.approx(-norm.logpdf(1000 * errors.numpy(), scale=scale).mean(), rel=1e-9)
    assert calibration < min(float(calibrate(errors, STD * factor)["nll"]) for factor in (0.8, 1.25))


def test_axes_are_distinguished():
    """Depth errors three times as large as predicted."""
    calibration = calibrate(draws(3) * torch.tensor([1.0, 1.0, 3.0]), STD)
    x, y, z = calibration["axes"][0].tolist()
    assert (x, y) == pytest.approx((NOMINAL[0], NOMINAL[0]), abs=0.02)
    assert z == pytest.approx(2 * norm.cdf(1 / 3) - 1, abs=0.02)


def test_masked_hands_and_joints_do_not_count():
    errors = draws(4)
    errors[NUM_RANDOM_HANDS // 2 :] *= 50
    log_variance = 2 * STD.log().expand(NUM_RANDOM_HANDS, 20)
    first = torch.arange(NUM_RANDOM_HANDS) < NUM_RANDOM_HANDS // 2
    for mask in (first, first[:, None].repeat(1, 20)):
        metric = Calibration()
        metric.update(log_variance, errors, torch.zeros_like(errors), mask)
        torch.testing.assert_close(metric.compute(), calibrate(errors[: NUM_RANDOM_HANDS // 2], STD))


@pytest.mark.parametrize("factor", [0.8, 1.0, 2.0])
def test_temperature_restores_a_gaussian(factor):
    reliability = calibrate(draws(3), STD * factor)["reliability"]
    assert best_temperature(reliability) == pytest.approx(1 / factor, rel=0.02)


def test_temperature_of_heavy_tails_balances_both_limits():
    """Student's t of three degrees of freedom: neither limit can be exact, and their deviations are equal."""
    errors = torch.distributions.StudentT(3.0).sample((NUM_RANDOM_HANDS, 20, 3)).double()
    std = torch.full((20,), 4.0, dtype=torch.float64)
    after = calibrate(errors, std * best_temperature(calibrate(errors, std)["reliability"]))
    deviations = [
        float(after[name]) - nominal for name, nominal in zip(("coverage_1sigma", "coverage_2sigma"), NOMINAL)
    ]
    assert deviations[0] == pytest.approx(-deviations[1], abs=0.005)
