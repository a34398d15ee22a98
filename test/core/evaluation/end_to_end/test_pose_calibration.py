"""Fractions of errors within the standard deviations, of errors that are drawn from the covariances themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.stats import chi2
from support.posed_hands import posed, turn

from lgnet_core.evaluation.end_to_end.pose_calibration import QUANTILES, PoseCalibration
from lgnet_core.geometry.pose_covariance import pose_covariance
from lgnet_core.hand_model import HandModel
from lgnet_core.types import Side


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_fractions_of_errors_drawn_from_the_covariance(hand_model: HandModel, scale: float) -> None:
    """``scale`` times larger errors are within fewer standard deviations."""
    hand = replace(posed(hand_model, Side.LEFT, "open", turn(0), (0.1, 0.05, 0.5)), joint_std=np.full(21, 0.002))
    errors = np.random.default_rng(0).multivariate_normal(np.zeros(6), scale**2 * pose_covariance(hand), 3000)
    calibration = PoseCalibration()
    for error in errors:
        root = Rotation.from_rotvec(error[3:]).as_matrix() @ hand.rotations[0]
        calibration.add(hand, hand.joints[0] + error[:3], root)
    fractions = calibration.compute()
    for dimensions, part in enumerate(("along the ray", "across the ray", "rotation"), 1):
        for count, name in ((1, "1 standard deviation"), (2, "2 standard deviations")):
            expected = chi2.cdf(chi2.ppf(chi2.cdf(count**2, 1), dimensions) / scale**2, dimensions)
            assert fractions[f"{part}: within {name}"] == pytest.approx(expected, abs=0.03)


def test_quantiles_are_those_of_the_chi_squared_distribution() -> None:
    for count, by_dimension in QUANTILES.items():
        for dimensions, quantile in by_dimension.items():
            assert chi2.cdf(quantile, dimensions) == pytest.approx(chi2.cdf(count**2, 1), abs=1e-3)


def test_no_hands_give_no_figures() -> None:
    assert PoseCalibration().compute() == {}
