"""Metrics that are monitored during training: wrist-aligned, unscaled, millimetres."""

from __future__ import annotations

import math

from torch import nn

from lgnet_core.data.sample import HandsBatch, HandsLabels
from lgnet_core.evaluation.metrics.errors import MPJPE, MPVPE, MRRPE, MaskedMean, PresenceAccuracy
from lgnet_core.network import HandsPrediction


class ValidationMetrics(nn.Module):
    """Metrics over the batches of a validation epoch, on the module's device and over all processes.

    ``mpvpe_mm`` and ``mpjpe_mm`` of the refined mesh, ``rough_mpvpe_mm``, ``mrrpe_mm`` (regressed relative translation
    of pairs), ``presence`` (accuracy of the predicted presence).
    """

    def __init__(self) -> None:
        super().__init__()
        self.mpvpe, self.mpjpe, self.rough_mpvpe = MPVPE(), MPJPE(), MPVPE()
        self.mrrpe, self.presence = MRRPE(), PresenceAccuracy()

    def update(self, prediction: HandsPrediction, batch: HandsBatch, labels: HandsLabels) -> None:
        """Add a batch."""
        presence, joints, vertices = batch.presence, labels.joints, labels.vertices
        self.mpvpe.update(prediction.vertices, prediction.joints, vertices, joints, presence)
        self.mpjpe.update(prediction.joints, joints, presence)
        self.rough_mpvpe.update(prediction.rough_vertices, prediction.rough_joints, vertices, joints, presence)
        self.mrrpe.update(prediction.relative_translation, labels.relative_translation, presence.all(1))
        self.presence.update(prediction.presence_logits, presence)

    def compute(self) -> dict[str, float]:
        """The metrics that have a value (without pairs there is no ``mrrpe_mm``), and reset."""
        metrics: dict[str, MaskedMean] = {
            "mpvpe_mm": self.mpvpe,
            "mpjpe_mm": self.mpjpe,
            "rough_mpvpe_mm": self.rough_mpvpe,
            "mrrpe_mm": self.mrrpe,
            "presence": self.presence,
        }
        values = {name: float(metric.compute()) for name, metric in metrics.items()}
        for metric in metrics.values():
            metric.reset()
        return {name: value for name, value in values.items() if not math.isnan(value)}
