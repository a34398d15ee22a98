"""All metrics of predicted hands: definitions, names, protocols and their computation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from lgnet_core.evaluation.baselines import WristRelativeHands
from lgnet_core.evaluation.comparison import Comparison
from lgnet_core.evaluation.metrics.alignment import ALIGNMENTS, WRIST_RAW
from lgnet_core.evaluation.metrics.calibration import NOMINAL, Calibration
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
from lgnet_core.evaluation.metrics.pck import PCK, area_under_curve
from lgnet_core.types import MIDDLE_FINGER_CHAIN, WRIST


class MetricInfo(NamedTuple):
    """Description of a metric.

    Args:
        title: for tables. unit: of the value. perfect: value of a perfect estimate; None: undefined.
    """

    title: str
    unit: str
    perfect: float | None = 0.0


METRICS: dict[str, MetricInfo] = {
    "mpjpe_mm": MetricInfo("MPJPE", "mm"),
    "mpvpe_mm": MetricInfo("MPVPE", "mm"),
    "auc_0_50": MetricInfo("AUC 0-50 mm", "", 1.0),
    "pa_mpjpe_mm": MetricInfo("PA-MPJPE", "mm"),
    "pa_mpvpe_mm": MetricInfo("PA-MPVPE", "mm"),
    "cs_mpjpe_mm": MetricInfo("CS-MPJPE", "mm"),
    "rough_mpvpe_mm": MetricInfo("MPVPE, rough", "mm"),
    "mrrpe_mm": MetricInfo("MRRPE", "mm"),
    "joints_2d_px256": MetricInfo("2D joints", "px of 256"),
    "presence": MetricInfo("presence accuracy", "", 1.0),
    "wrist_percent": MetricInfo("wrist", "% of depth"),
    "depth_percent": MetricInfo("depth", "% of depth"),
    "coverage_1sigma": MetricInfo("within 1 sigma", "", NOMINAL[0]),
    "coverage_2sigma": MetricInfo("within 2 sigma", "", NOMINAL[1]),
    "calibration_error": MetricInfo("calibration error", ""),
    "nll": MetricInfo("NLL", "nats", None),
    "sigma_mm": MetricInfo("sigma", "mm", None),
}
"""By name, in the order of reports."""

PROTOCOL_DESCRIPTIONS: dict[str, str] = {
    "wrist-raw": "aligned at the wrist, unscaled",
    "wrist-scaled": "aligned at the wrist, scaled to the true bone from wrist to middle MCP",
    "mcp-raw": "aligned at the middle MCP, unscaled",
    "mcp-scaled": "aligned at the middle MCP, scaled to the true bone from wrist to middle MCP",
    "similarity": "Procrustes alignment of each hand (rotation, translation, scale)",
    "regressed": "wrist_left - wrist_right as regressed by the network, unscaled, pairs only",
    "placed": "difference of the wrists placed in the camera frame, unscaled, pairs only",
    "in-crop": "joints inside the crop",
    "at-half": "each side of each image, at a probability threshold of 0.5",
    "camera": "placed in the camera frame with the crop's intrinsics",
    "size-known": "as camera, scaled to the true length of wrist and middle finger, as hand_length does",
    "per-axis": "20 joints relative to the wrist, each axis separately",
}
"""Protocols that are part of the metric names: alignment, and which hands count."""


class MetricKey(NamedTuple):
    """Name of a metric: one of ``METRICS`` under one of ``PROTOCOL_DESCRIPTIONS``."""

    metric: str
    protocol: str

    def __str__(self) -> str:
        return f"{self.metric}/{self.protocol}"


@dataclass(frozen=True)
class ScoreSummary:
    """Scores on a set of hands.

    Args:
        metrics: values; NaN without data.
        pck: curve (200,) of each alignment, at :func:`lgnet_core.evaluation.metrics.pck.thresholds`.
        reliability: (99,) at :func:`lgnet_core.evaluation.metrics.calibration.levels`; empty without uncertainty.
        axes: (2, 3) fractions of errors within one and two sigma along each axis; empty without uncertainty.
    """

    metrics: dict[MetricKey, float]
    pck: dict[str, list[float]]
    reliability: list[float] = field(default_factory=list)
    axes: list[list[float]] = field(default_factory=list)


class HandScores:
    """Metrics of individual hands: under all alignments, and after Procrustes alignment.

    Args:
        device: of the hands.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._mpjpe = {alignment.name: MPJPE(alignment).to(device) for alignment in ALIGNMENTS}
        self._mpvpe = {alignment.name: MPVPE(alignment).to(device) for alignment in ALIGNMENTS}
        self._pck = {alignment.name: PCK(alignment).to(device) for alignment in ALIGNMENTS}
        self._pa, self._pa_vertices = PAMPJPE().to(device), PAMPVPE().to(device)

    def update(self, predicted: Mapping[str, WristRelativeHands], truth: Comparison) -> None:
        """Add hands.

        Args:
            predicted: the hands by alignment name and ``similarity``; a baseline that depends on the ground truth may
                differ between alignments. truth: provides the true hands.
        """
        for alignment in ALIGNMENTS:
            joints, vertices = predicted[alignment.name]
            known = alignment.measurable(truth.joints_known)
            self._mpjpe[alignment.name].update(joints, truth.true_joints, known)
            self._mpvpe[alignment.name].update(
                vertices, joints, truth.true_vertices, truth.true_joints, truth.vertices_known
            )
            self._pck[alignment.name].update(joints, truth.true_joints, known)
        joints, vertices = predicted["similarity"]
        self._pa.update(joints, truth.true_joints, truth.joints_known)
        self._pa_vertices.update(vertices, truth.true_vertices, truth.vertices_known)

    def compute(self) -> ScoreSummary:
        pck = {name: metric.compute() for name, metric in self._pck.items()}
        metrics = {MetricKey("mpjpe_mm", name): float(metric.compute()) for name, metric in self._mpjpe.items()}
        metrics |= {MetricKey("mpvpe_mm", name): float(metric.compute()) for name, metric in self._mpvpe.items()}
        metrics |= {MetricKey("auc_0_50", name): float(area_under_curve(curve)) for name, curve in pck.items()}
        metrics[MetricKey("pa_mpjpe_mm", "similarity")] = float(self._pa.compute())
        metrics[MetricKey("pa_mpvpe_mm", "similarity")] = float(self._pa_vertices.compute())
        return ScoreSummary(metrics, {name: curve.tolist() for name, curve in pck.items()})


def middle_finger_length(joints: Tensor) -> Tensor:
    """Metres along the bones from the wrist to the tip of the middle finger. Shapes: (..., 21, 3) -> (...)."""
    return joints[..., list(MIDDLE_FINGER_CHAIN), :].diff(dim=-2).norm(dim=-1).sum(-1)


class PredictionScores:
    """All metrics of a network's predictions.

    Args:
        device: of the predictions.
        uncertainty: whether the predictions include an uncertainty.
    """

    def __init__(self, device: torch.device | str = "cpu", uncertainty: bool = True) -> None:
        self._hands = HandScores(device)
        self._rough = MPVPE(WRIST_RAW).to(device)
        self._regressed, self._placed = MRRPE().to(device), MRRPE().to(device)
        self._pixels = MeanDistance().to(device)
        self._presence = PresenceAccuracy().to(device)
        self._camera_space = CSMPJPE().to(device)
        self._wrist, self._depth = PlacementError().to(device), PlacementError(depth_only=True).to(device)
        self._size_known = PlacementError(depth_only=True).to(device)
        self._calibration = Calibration().to(device) if uncertainty else None

    def update(self, comparison: Comparison) -> None:
        """Add predictions and ground truth of some images."""
        c = comparison
        names = (*(alignment.name for alignment in ALIGNMENTS), "similarity")
        self._hands.update(dict.fromkeys(names, WristRelativeHands(c.joints, c.vertices)), c)
        self._rough.update(c.rough_vertices, c.rough_joints, c.true_vertices, c.true_joints, c.vertices_known)
        self._regressed.update(c.relative_translation, c.true_relative_translation, c.pairs)
        self._placed.update(c.wrist[:, 1] - c.wrist[:, 0], c.true_relative_translation, c.pairs)
        self._pixels.update(c.pixels, c.true_pixels, c.joints_in_crop)
        self._presence.update(c.presence_logits, c.presence)
        in_camera = c.joints + c.wrist[..., None, :], c.true_joints + c.true_wrist[..., None, :]
        self._camera_space.update(*in_camera, c.presence[..., None] & c.joints_known)
        present = c.presence & c.joints_known[..., WRIST]
        self._wrist.update(c.wrist, c.true_wrist, present)
        self._depth.update(c.wrist, c.true_wrist, present)
        size = middle_finger_length(c.true_joints) / middle_finger_length(c.joints).clamp_min(1e-6)
        finger_known = c.joints_known[..., list(MIDDLE_FINGER_CHAIN)].all(-1)
        self._size_known.update(c.wrist * size[..., None], c.true_wrist, present & finger_known)
        if self._calibration is not None:
            rest = slice(WRIST + 1, None)  # the wrist has no error in its own frame
            self._calibration.update(
                c.joint_log_variance[..., rest],
                c.joints[..., rest, :],
                c.true_joints[..., rest, :],
                WRIST_RAW.measurable(c.joints_known)[..., rest],
            )

    def compute(self) -> ScoreSummary:
        hands = self._hands.compute()
        metrics = hands.metrics | {
            MetricKey(*name): float(metric.compute())
            for name, metric in (
                (("rough_mpvpe_mm", WRIST_RAW.name), self._rough),
                (("cs_mpjpe_mm", "camera"), self._camera_space),
                (("mrrpe_mm", "regressed"), self._regressed),
                (("mrrpe_mm", "placed"), self._placed),
                (("joints_2d_px256", "in-crop"), self._pixels),
                (("presence", "at-half"), self._presence),
                (("wrist_percent", "camera"), self._wrist),
                (("depth_percent", "camera"), self._depth),
                (("depth_percent", "size-known"), self._size_known),
            )
        }
        if self._calibration is None:
            return ScoreSummary(metrics, hands.pck)
        calibration = self._calibration.compute()
        reliability, axes = calibration.pop("reliability").tolist(), calibration.pop("axes").tolist()
        metrics |= {MetricKey(name, "per-axis"): float(value) for name, value in calibration.items()}
        return ScoreSummary(metrics, hands.pck, reliability, axes)
