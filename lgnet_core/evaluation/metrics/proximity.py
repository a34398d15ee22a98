"""Errors of pairs by the distance between the hands: touching hands hide each other and are the hardest."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lgnet_core.evaluation.comparison import Comparison
from lgnet_core.evaluation.datasets.base import LabelledImages
from lgnet_core.evaluation.metrics.alignment import MILLIMETRES, WRIST_RAW
from lgnet_core.evaluation.metrics.errors import MaskedMean
from lgnet_core.types import Side

EDGES = (0.0, 30.0, 100.0, 300.0)
"""Lower edges of the bins, millimetres; the last bin is open."""


@dataclass(frozen=True)
class ProximityBin:
    """Pairs whose hands are ``low`` to ``high`` mm apart, their MPJPE (wrist-raw) and MRRPE (placed), mm; NaN without
    pairs."""

    low: float
    high: float
    pairs: int
    mpjpe: float
    mrrpe: float


def hand_distance(vertices: Tensor) -> Tensor:
    """Smallest distance between the vertices of both hands. Shapes: (B, 2, V, 3); returns (B,)."""
    distances = torch.cdist(
        vertices[:, Side.RIGHT], vertices[:, Side.LEFT], compute_mode="donot_use_mm_for_euclid_dist"
    )
    return distances.amin((1, 2))


class ProximityScore:
    """MPJPE and MRRPE of pairs in bins of their distance; an evaluation observer. Pairs without true meshes are left
    out."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._mpjpe, self._mrrpe = (MaskedMean(len(EDGES)).to(device) for _ in range(2))

    def update(self, comparison: Comparison, read: LabelledImages) -> None:
        """Add the pairs of a batch."""
        pairs = comparison.select(comparison.pairs & comparison.vertices_known.all(1))
        if not len(pairs.joints):
            return
        distance = hand_distance(pairs.true_vertices + pairs.true_wrist[:, :, None]) * MILLIMETRES
        edges = torch.tensor(EDGES, device=distance.device, dtype=distance.dtype)
        in_bin = (torch.bucketize(distance, edges, right=True) - 1)[:, None] == torch.arange(
            len(EDGES), device=distance.device
        )
        errors = WRIST_RAW.errors(pairs.joints, pairs.joints, pairs.true_joints, pairs.true_joints).flatten(1)
        known = WRIST_RAW.measurable(pairs.joints_known).flatten(1)
        shape = (*errors.shape, len(EDGES))
        self._mpjpe.accumulate(errors[..., None].expand(shape), known[..., None] & in_bin[:, None])
        between, true_between = (wrist.diff(dim=1)[:, 0] for wrist in (pairs.wrist, pairs.true_wrist))
        error = (between - true_between).norm(dim=-1) * MILLIMETRES
        self._mrrpe.accumulate(error[:, None].expand(-1, len(EDGES)), in_bin)

    def compute(self) -> list[ProximityBin]:
        """All bins."""
        mpjpe, mrrpe = ((mean.total / mean.count).tolist() for mean in (self._mpjpe, self._mrrpe))
        counts = self._mrrpe.count.tolist()
        return [
            ProximityBin(low, high, int(count), *errors)
            for low, high, count, *errors in zip(EDGES, (*EDGES[1:], float("inf")), counts, mpjpe, mrrpe)
        ]
