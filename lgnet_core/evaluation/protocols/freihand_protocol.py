"""FreiHAND's F-scores of meshes after Procrustes alignment, of any mesh.

Hands with the vertices of the true mesh are aligned by these, others by their joints, as in its evaluation code
(lmb-freiburg/freihand, eval.py). That code allows reflections, this one does not, which only matters for hands that are
closer to a mirror image. Its other figures are PA-MPJPE and PA-MPVPE, which every evaluation reports.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lgnet_core.evaluation.comparison import Comparison
from lgnet_core.evaluation.datasets.base import LabelledImages
from lgnet_core.evaluation.metrics.errors import MaskedMean, fit_similarity
from lgnet_core.evaluation.metrics.f_score import THRESHOLDS, f_scores


@dataclass(frozen=True)
class FreiHANDFScores:
    """F-scores in [0, 1] at 5 and 15 mm (NaN without hands), number of hands, and whether vertices were aligned."""

    f_5mm: float
    f_15mm: float
    hands: int
    aligned_by_vertices: bool


class FreiHANDScore:
    """Mean F-scores over the hands with a known mesh; an evaluation observer.

    Args:
        same_vertices: whether predicted and true meshes have the same vertices.
        device: of the hands.
    """

    def __init__(self, same_vertices: bool, device: torch.device | str = "cpu") -> None:
        self._same_vertices = same_vertices
        self._mean = MaskedMean(len(THRESHOLDS)).to(device)

    def update(self, comparison: Comparison, read: LabelledImages) -> None:
        """Add the hands of a batch."""
        known = read.truth.vertices_known & comparison.presence
        vertices, true_vertices = comparison.vertices[known], comparison.true_vertices[known]
        if self._same_vertices:
            fit = fit_similarity(vertices, true_vertices)
        else:
            fit = fit_similarity(comparison.joints[known], comparison.true_joints[known])
        scores = f_scores(fit.transform(vertices), true_vertices)
        self._mean.accumulate(scores, torch.ones(len(scores), dtype=torch.bool, device=scores.device))

    def compute(self) -> FreiHANDFScores:
        """Means so far."""
        f_5mm, f_15mm = (self._mean.total / self._mean.count).tolist()
        return FreiHANDFScores(f_5mm, f_15mm, int(self._mean.count[0]), self._same_vertices)
