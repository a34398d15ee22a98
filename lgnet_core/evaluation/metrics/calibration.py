r"""Whether the predicted uncertainty of the joints is true: how often errors lie within what was announced.

The network announces a standard deviation sigma per joint, the same on all three axes. If that is true, a share
erf(k / sqrt 2) of the errors along an axis lies within k sigma: 68.3 % for k = 1, 95.4 % for k = 2.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from lgnet_core.evaluation.metrics import mean_of_columns
from lgnet_core.evaluation.protocol import MILLIMETRES

SIGMAS = (1.0, 2.0)
NOMINAL = tuple(math.erf(k / math.sqrt(2)) for k in SIGMAS)
"""Shares within one and two standard deviations if the uncertainty is true."""

AXES = 3


def levels() -> Tensor:
    """(99,) nominal shares of the reliability curve, 1 % to 99 %."""
    return torch.arange(1, 100, dtype=torch.float64) / 100


class Calibration(Metric):
    r"""Reliability of the joints' standard deviations, over axes, joints and hands.

    Of every error e along an axis the nominal share erf(\|e\| / (sigma sqrt 2)) is taken, the probability with which a
    true sigma gives a smaller one; these are uniform in [0, 1] if the uncertainty is true. Give errors of the joints
    but the wrist: in its own frame it has none.

    What it computes:
        coverage_1sigma, coverage_2sigma: shares within one and two sigma; ``NOMINAL`` if true.
        calibration_error: mean distance of the reliability curve from its diagonal (Kuleshov et al. 2018, "Accurate
            uncertainties for deep learning using calibrated regression").
        nll: mean negative log-likelihood per axis, (log 2 pi sigma^2 + e^2 / sigma^2) / 2, nats, e in millimetres.
        sigma_mm: root of the mean predicted variance per axis: what is calibrated may still be vague.
        axes: (2, 3) shares within one and two sigma along each axis of the camera.
        reliability: (99,) observed shares at the nominal :func:`levels`.
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
        share = torch.erf(ratio / math.sqrt(2))
        likelihood = ((2 * math.pi * variance).log() + ratio.square()) / 2
        limits = torch.tensor(SIGMAS, device=ratio.device, dtype=ratio.dtype)
        self.within += (ratio[..., None] <= limits).sum(0)
        self.below += (share[..., None] <= levels().to(share.device)).sum(0)
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
