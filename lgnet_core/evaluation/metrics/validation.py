"""The few figures that a training watches: wrists laid over each other, nothing scaled, millimetres."""

from __future__ import annotations

import math

from torch import nn

from lgnet_core.data.sample import HandsBatch, HandsLabels
from lgnet_core.evaluation.metrics import MPJPE, MPVPE, MRRPE, MaskedMean, PresenceAccuracy
from lgnet_core.network import HandsPrediction


class ValidationFigures(nn.Module):
    """Metrics over the batches of a validation, on the module's device and over all processes.

    ``mpvpe_mm`` and ``mpjpe_mm`` of the refined mesh, ``rough_mpvpe_mm``, ``mrrpe_mm`` (relative translation as
    regressed, pairs), ``presence`` (share of the hands whose presence is told right).
    """

    def __init__(self) -> None:
        super().__init__()
        self.mpvpe, self.mpjpe, self.rough_mpvpe = MPVPE(), MPJPE(), MPVPE()
        self.mrrpe, self.presence = MRRPE(), PresenceAccuracy()

    def update(self, prediction: HandsPrediction, batch: HandsBatch, labels: HandsLabels) -> None:
        """Add a batch."""
        said, hands = prediction, batch.presence
        joints, vertices = labels.joints, labels.vertices
        self.mpvpe.update(said.vertices, said.joints, vertices, joints, hands)
        self.mpjpe.update(said.joints, joints, hands)
        self.rough_mpvpe.update(said.rough_vertices, said.rough_joints, vertices, joints, hands)
        self.mrrpe.update(said.relative_translation, labels.relative_translation, hands.all(1))
        self.presence.update(said.presence_logits, hands)

    def compute(self) -> dict[str, float]:
        """The figures of which there are any: without pairs there is no ``mrrpe_mm``. Starts anew."""
        metrics: dict[str, MaskedMean] = {
            "mpvpe_mm": self.mpvpe,
            "mpjpe_mm": self.mpjpe,
            "rough_mpvpe_mm": self.rough_mpvpe,
            "mrrpe_mm": self.mrrpe,
            "presence": self.presence,
        }
        found = {name: float(metric.compute()) for name, metric in metrics.items()}
        for metric in metrics.values():
            metric.reset()
        return {name: value for name, value in found.items() if not math.isnan(value)}
