"""Errors by how differently the two hands of a pair are posed: networks that know both hands may trust their likeness.

The pose difference of a pair is the mean distance of the right hand's joints from those of the mirrored left one after
the best similarity: 0 for hands that are each other's mirror images, wherever they are and however they are turned. It
needs joints only, so that it is the same for every set.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lgnet_core.evaluation.comparison import Comparison
from lgnet_core.evaluation.image_sets import Labelled
from lgnet_core.evaluation.metrics import FEWEST_FITTED, MaskedMean, procrustes_errors
from lgnet_core.evaluation.protocol import WRIST_RAW, WRIST_SCALED
from lgnet_core.types import Side

EDGES = (0.0, 5.0, 10.0, 15.0, 20.0, 25.0)
"""Millimetres: a bin from each edge to the next, the last one open."""

PROTOCOLS = (WRIST_RAW, WRIST_SCALED)


@dataclass(frozen=True)
class Bin:
    """Pairs whose poses differ by ``low`` to ``high`` millimetres, and their MPJPE by protocol's name; NaN: none."""

    low: float
    high: float
    pairs: int
    mpjpe: dict[str, float]


def pose_difference(joints: Tensor, known: Tensor) -> Tensor:
    """How differently both hands are posed, millimetres.

    Shapes:
        joints: (B, 2, 21, 3) metres, each hand in any frame of the same axes; known: (B, 2, 21) bool; returns (B,),
        NaN where too few joints are known of both hands.
    """
    mirrored = joints[:, Side.LEFT] * joints.new_tensor([-1.0, 1.0, 1.0])
    both = known.all(1)
    enough = both.sum(-1) >= FEWEST_FITTED
    errors = procrustes_errors(mirrored, joints[:, Side.RIGHT], torch.where(enough[:, None], both, True).to(joints))
    mean = (errors * both).sum(-1) / both.sum(-1).clamp_min(1)
    return torch.where(enough, mean, torch.nan)


class AsymmetryScore:
    """MPJPE of pairs in bins of their pose difference; an observer of an evaluation."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._means = {p.name: MaskedMean(len(EDGES)).to(device) for p in PROTOCOLS}
        self._pairs = torch.zeros(len(EDGES), dtype=torch.int64)

    def update(self, outcome: Comparison, read: Labelled) -> None:
        """Add the pairs of a batch."""
        pairs = outcome.select(outcome.pairs)
        if not len(pairs.joints):
            return
        difference = pose_difference(pairs.true_joints, pairs.known)
        edges = torch.tensor(EDGES, device=difference.device, dtype=difference.dtype)
        bins = torch.arange(len(EDGES), device=difference.device)
        binned = (torch.bucketize(difference, edges, right=True) - 1)[:, None] == bins
        binned &= difference.isfinite()[:, None]  # (B, bins)
        self._pairs += binned.sum(0).cpu()
        for p in PROTOCOLS:
            errors = p.errors(pairs.joints, pairs.joints, pairs.true_joints, pairs.true_joints).flatten(1)
            known = p.measurable(pairs.known).flatten(1)
            shape = (*errors.shape, len(EDGES))
            self._means[p.name].accumulate(errors[..., None].expand(shape), known[..., None] & binned[:, None])

    def compute(self) -> list[Bin]:
        """All bins."""
        means = {name: (mean.total / mean.count).tolist() for name, mean in self._means.items()}
        highs = (*EDGES[1:], float("inf"))
        return [
            Bin(low, high, int(self._pairs[k]), {name: values[k] for name, values in means.items()})
            for k, (low, high) in enumerate(zip(EDGES, highs))
        ]
