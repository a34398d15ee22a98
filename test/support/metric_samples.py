"""Random hands for tests of metrics, and a process that computes metrics together with others."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from lgnet_core.evaluation.metrics.alignment import MCP_SCALED
from lgnet_core.evaluation.metrics.calibration import Calibration
from lgnet_core.evaluation.metrics.errors import (
    CSMPJPE,
    MPJPE,
    MPVPE,
    MRRPE,
    PAMPJPE,
    PAMPVPE,
    MeanDistance,
    PlacementError,
    PresenceAccuracy,
)
from lgnet_core.evaluation.metrics.pck import PCK


def hands(seed: int, count: int = 6, points: int = 21) -> Tensor:
    return 0.1 * torch.randn(count, points, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mask_of(count: int = 6) -> Tensor:
    return torch.arange(count) % 3 != 0


def updated(metric: Metric, rows: slice) -> Metric:
    """A metric updated with some of eight hands."""
    predicted, true, mask = hands(40, 8)[rows], hands(41, 8)[rows], mask_of(8)[rows]
    if isinstance(metric, MPVPE):
        metric.update(predicted, predicted, true, true, mask)
    elif isinstance(metric, Calibration):
        metric.update(predicted[..., 0] - 5, predicted, true, mask)
    elif isinstance(metric, PresenceAccuracy):
        metric.update(predicted[..., 0, 0], mask)
    elif isinstance(metric, (MeanDistance, PlacementError)):
        metric.update(predicted[:, 0], true[:, 0], mask)
    else:
        metric.update(predicted, true, mask)
    return metric


KINDS = [
    lambda: MPJPE(MCP_SCALED), MPVPE, PAMPJPE, PAMPVPE, CSMPJPE, MRRPE, MeanDistance, PlacementError, PresenceAccuracy,
    PCK, Calibration,
]  # fmt: skip


def compute_half(rank: int, rendezvous: str, out: str) -> None:
    """One of two processes, each with half of the hands; saves the synchronised results."""
    torch.distributed.init_process_group("gloo", f"file://{rendezvous}", rank=rank, world_size=2)
    halves = (slice(0, 3), slice(3, 8))
    torch.save([updated(kind(), halves[rank]).compute() for kind in KINDS], f"{out}.{rank}")
    torch.distributed.destroy_process_group()
