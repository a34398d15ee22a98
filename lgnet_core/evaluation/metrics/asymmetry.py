"""Joint errors by pose asymmetry of the two hands: two-hand networks may overestimate the similarity of the hands.

The pose difference of a pair is the mean distance between the joints of the right hand and those of the mirrored left
one after Procrustes alignment: 0 for hands that are mirror images of each other, wherever they are and however they are
rotated. It depends on joints only, so that it is comparable between data sets.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lgnet_core.evaluation.comparison import Comparison
from lgnet_core.evaluation.datasets.base import LabelledImages
from lgnet_core.evaluation.metrics.alignment import WRIST_RAW, WRIST_SCALED
from lgnet_core.evaluation.metrics.errors import MIN_FITTED_JOINTS, MaskedMean, procrustes_errors
from lgnet_core.types import Side

EDGES = (0.0, 5.0, 10.0, 15.0, 20.0, 25.0)
"""Lower edges of the bins, millimetres; the last bin is open."""

REPORTED_ALIGNMENTS = (WRIST_RAW, WRIST_SCALED)


@dataclass(frozen=True)
class AsymmetryBin:
    """Pairs with a pose difference of ``low`` to ``high`` mm, and their MPJPE by alignment name (NaN without pairs)."""

    low: float
    high: float
    pairs: int
    mpjpe: dict[str, float]


def pose_difference(joints: Tensor, known: Tensor) -> Tensor:
    """Pose difference of both hands, millimetres.

    Shapes:
        joints: (B, 2, 21, 3) metres, each hand in any frame of the same axes; known: (B, 2, 21) bool; returns (B,),
        NaN where too few joints are known of both hands.
    """
    mirrored = joints[:, Side.LEFT] * joints.new_tensor([-1.0, 1.0, 1.0])
    both = known.all(1)
    enough = both.sum(-1) >= MIN_FITTED_JOINTS
    errors = procrustes_errors(mirrored, joints[:, Side.RIGHT], torch.where(enough[:, None], both, True).to(joints))
    mean = (errors * both).sum(-1) / both.sum(-1).clamp_min(1)
    return torch.where(enough, mean, torch.nan)


class AsymmetryScore:
    """MPJPE of pairs in bins of their pose difference; an evaluation observer."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._means = {alignment.name: MaskedMean(len(EDGES)).to(device) for alignment in REPORTED_ALIGNMENTS}
        self._pairs = torch.zeros(len(EDGES), dtype=torch.int64)

    def update(self, comparison: Comparison, read: LabelledImages) -> None:
        """Add the pairs of a batch."""
        pairs = comparison.select(comparison.pairs)
        if not len(pairs.joints):
            return
        difference = pose_difference(pairs.true_joints, pairs.joints_known)
        edges = torch.tensor(EDGES, device=difference.device, dtype=difference.dtype)
        bins = torch.arange(len(EDGES), device=difference.device)
        in_bin = (torch.bucketize(difference, edges, right=True) - 1)[:, None] == bins
        in_bin &= difference.isfinite()[:, None]  # (B, bins)
        self._pairs += in_bin.sum(0).cpu()
        for alignment in REPORTED_ALIGNMENTS:
            errors = alignment.errors(pairs.joints, pairs.joints, pairs.true_joints, pairs.true_joints).flatten(1)
            known = alignment.measurable(pairs.joints_known).flatten(1)
            shape = (*errors.shape, len(EDGES))
            self._means[alignment.name].accumulate(errors[..., None].expand(shape), known[..., None] & in_bin[:, None])

    def compute(self) -> list[AsymmetryBin]:
        """All bins."""
        means = {name: (mean.total / mean.count).tolist() for name, mean in self._means.items()}
        upper_edges = (*EDGES[1:], float("inf"))
        return [
            AsymmetryBin(low, high, int(self._pairs[k]), {name: values[k] for name, values in means.items()})
            for k, (low, high) in enumerate(zip(EDGES, upper_edges))
        ]
