"""Calibration of the predicted joint uncertainty: fraction of errors within the predicted standard deviations.

The network predicts a standard deviation sigma per joint, the same on all three axes. If it is calibrated, a fraction
erf(k / sqrt 2) of the errors along an axis lies within k sigma: 68.3 % for k = 1, 95.4 % for k = 2.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from lgnet_core.evaluation.metrics.alignment import MILLIMETRES
from lgnet_core.evaluation.metrics.errors import mean_of_columns

SIGMAS = (1.0, 2.0)
NOMINAL = tuple(math.erf(k / math.sqrt(2)) for k in SIGMAS)
"""Fractions within one and two standard deviations of a calibrated prediction."""

AXES = 3


def levels() -> Tensor:
    """(99,) nominal levels of the reliability curve, 1 % to 99 %."""
    return torch.arange(1, 100, dtype=torch.float64) / 100


def best_temperature(reliability: Tensor) -> float:
    """Factor on all standard deviations that calibrates them best.

    It minimises the larger of the deviations of the fractions within one and two sigma from :data:`NOMINAL`. Errors
    have heavier tails than a Gaussian, so both cannot be exact. Exact for standard deviations that are too large; if
    they are too small by more than a quarter, the limits lie beyond the last level, so calibrate again.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks" (temperature scaling), on standard deviations.

    Args:
        reliability: (99,) observed fractions at the nominal :func:`levels`.
    """
    temperatures = np.linspace(0.25, 4.0, 751)
    scaled = np.array(SIGMAS) * temperatures[:, None]
    coverage = np.interp(
        [[math.erf(k / math.sqrt(2)) for k in row] for row in scaled], [*levels(), 1.0], [*reliability, 1.0]
    )
    deviation = np.abs(coverage - np.array(NOMINAL)).max(-1)
    return float(temperatures[deviation.argmin()])


class Calibration(Metric):
    r"""Calibration of the predicted standard deviations, over axes, joints and hands.

    Each error e along an axis gives the nominal level erf(\|e\| / (sigma sqrt 2)), the probability of a smaller error
    under the prediction; levels are uniform in [0, 1] if the prediction is calibrated. Exclude the wrist, which has no
    error in its own frame.

    :meth:`compute` returns

    - ``coverage_1sigma``, ``coverage_2sigma``: fractions within one and two sigma; ``NOMINAL`` if calibrated.
    - ``calibration_error``: mean distance of the reliability curve from its diagonal (Kuleshov et al. 2018, "Accurate
      uncertainties for deep learning using calibrated regression").
    - ``nll``: mean negative log-likelihood per axis, (log 2 pi sigma^2 + e^2 / sigma^2) / 2, nats, e in millimetres.
    - ``sigma_mm``: root of the mean predicted variance per axis: a measure of sharpness.
    - ``axes``: (2, 3) fractions within one and two sigma along each camera axis.
    - ``reliability``: (99,) observed fractions at the nominal :func:`levels`.
    """

    full_state_update = False
    within: Tensor
    below: Tensor
    sums: Tensor
    count: Tensor

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, shape in (("within", (AXES, len(SIGMAS))), ("below", (AXES, len(levels()))), ("count", (AXES,))):
            self.add_state(name, torch.zeros(shape, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("sums", torch.zeros(AXES, 2, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, log_variance: Tensor, joints: Tensor, true_joints: Tensor, mask: Tensor) -> None:
        """Add joints.

        Shapes:
            log_variance: (..., J) of metres squared, per axis; joints, true_joints: (..., J, 3) metres;
            mask: (...) hands, or (..., J) joints, bool.
        """
        mask = (mask[..., None] if mask.ndim < log_variance.ndim else mask).expand_as(log_variance)
        errors = (joints - true_joints)[mask].double() * MILLIMETRES  # (N, 3)
        variance = log_variance[mask].double().exp()[:, None] * MILLIMETRES**2  # (N, 1)
        ratio = errors.abs() / variance.sqrt()
        level = torch.erf(ratio / math.sqrt(2))
        likelihood = ((2 * math.pi * variance).log() + ratio.square()) / 2
        limits = torch.tensor(SIGMAS, device=ratio.device, dtype=ratio.dtype)
        self.within += (ratio[..., None] <= limits).sum(0)
        self.below += (level[..., None] <= levels().to(level.device)).sum(0)
        self.sums += torch.stack([likelihood.sum(0), variance.sum(0).expand(AXES)], -1)
        self.count += len(errors)

    def compute(self) -> dict[str, Tensor]:
        within, below = self.within.double(), self.below.double()
        coverage = mean_of_columns(within, self.count)
        reliability = mean_of_columns(below, self.count)
        likelihood, variance = mean_of_columns(self.sums, self.count)
        return {
            "coverage_1sigma": coverage[0],
            "coverage_2sigma": coverage[1],
            "calibration_error": (reliability - levels().to(reliability)).abs().mean(),
            "nll": likelihood,
            "sigma_mm": variance.sqrt(),
            "axes": (within / self.count[:, None]).T,
            "reliability": reliability,
        }
