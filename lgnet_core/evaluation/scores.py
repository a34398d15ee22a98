"""Every figure of a set of hands: what is measured, under which protocol, and what would be perfect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from lgnet_core.evaluation.baselines import Guess
from lgnet_core.evaluation.calibration import NOMINAL, Calibration
from lgnet_core.evaluation.comparison import Comparison
from lgnet_core.evaluation.metrics import MPJPE, MPVPE, MRRPE, PAMPJPE, MeanDistance, PlacementError, PresenceAccuracy
from lgnet_core.evaluation.pck import PCK, area_under_curve
from lgnet_core.evaluation.protocol import PROTOCOLS, WRIST_RAW
from lgnet_core.types import WRIST


class FigureKind(NamedTuple):
    """What a figure is.

    Args:
        title: for a table. unit: of the value. perfect: the value of an estimate without fault; None: there is none.
    """

    title: str
    unit: str
    perfect: float | None = 0.0


FIGURES: dict[str, FigureKind] = {
    "mpjpe_mm": FigureKind("MPJPE", "mm"),
    "mpvpe_mm": FigureKind("MPVPE", "mm"),
    "auc_0_50": FigureKind("AUC 0-50 mm", "", 1.0),
    "pa_mpjpe_mm": FigureKind("PA-MPJPE", "mm"),
    "rough_mpvpe_mm": FigureKind("MPVPE, rough", "mm"),
    "mrrpe_mm": FigureKind("MRRPE", "mm"),
    "joints_2d_px256": FigureKind("2D joints", "px of 256"),
    "presence": FigureKind("presence right", "", 1.0),
    "wrist_percent": FigureKind("wrist", "% of depth"),
    "depth_percent": FigureKind("depth", "% of depth"),
    "coverage_1sigma": FigureKind("within 1 sigma", "", NOMINAL[0]),
    "coverage_2sigma": FigureKind("within 2 sigma", "", NOMINAL[1]),
    "calibration_error": FigureKind("calibration error", ""),
    "nll": FigureKind("NLL", "nats", None),
    "sigma_mm": FigureKind("sigma", "mm", None),
}
"""By name, in the order of reports."""

TERMS: dict[str, str] = {
    "wrist-raw": "wrists laid over each other, nothing scaled",
    "wrist-scaled": "wrists laid over each other, the bone to the middle MCP made as long as the true one",
    "mcp-raw": "middle MCPs laid over each other, nothing scaled",
    "mcp-scaled": "middle MCPs laid over each other, the bone from the wrist made as long as the true one",
    "similarity": "each hand turned, moved and scaled to fit best",
    "regressed": "wrist_left - wrist_right as the network says it, nothing scaled, pairs only",
    "placed": "difference of the placed wrists, nothing scaled, pairs only",
    "in-crop": "joints that lie inside the crop",
    "at-half": "each side of each image, told at a probability of 0.5",
    "camera": "placed in the camera's frame with the crop's intrinsics",
    "per-axis": "20 joints relative to the wrist, each axis for itself",
}
"""The protocols that figures are named by: which hands count how."""


class Key(NamedTuple):
    """Name of a figure: one of ``FIGURES`` under one of ``TERMS``."""

    figure: str
    protocol: str

    def __str__(self) -> str:
        return f"{self.figure}/{self.protocol}"


@dataclass(frozen=True)
class Scored:
    """What was measured on a set.

    Args:
        figures: values; NaN where nothing was there to be measured.
        pck: curve (200,) of each protocol, at :func:`lgnet_core.evaluation.pck.thresholds`.
        reliability: (99,) at :func:`lgnet_core.evaluation.calibration.levels`; empty where no uncertainty was judged.
        axes: (2, 3) shares of errors within one and two sigma along each axis; empty likewise.
    """

    figures: dict[Key, float]
    pck: dict[str, list[float]]
    reliability: list[float] = field(default_factory=list)
    axes: list[list[float]] = field(default_factory=list)


class HandScores:
    """Figures of hands each for itself: all protocols, and after the best similarity.

    Args:
        device: where the hands come from.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._mpjpe = {p.name: MPJPE(p).to(device) for p in PROTOCOLS}
        self._mpvpe = {p.name: MPVPE(p).to(device) for p in PROTOCOLS}
        self._pck = {p.name: PCK(p).to(device) for p in PROTOCOLS}
        self._pa = PAMPJPE().to(device)

    def update(self, said: Mapping[str, Guess], truth: Comparison) -> None:
        """Add hands.

        Args:
            said: the hands under each protocol's name and ``similarity``: a guess that knows the truth may say others
                under each. truth: gives the true ones.
        """
        for p in PROTOCOLS:
            joints, vertices = said[p.name]
            known = p.measurable(truth.known)
            self._mpjpe[p.name].update(joints, truth.true_joints, known)
            self._mpvpe[p.name].update(vertices, joints, truth.true_vertices, truth.true_joints, truth.surfaces)
            self._pck[p.name].update(joints, truth.true_joints, known)
        self._pa.update(said["similarity"].joints, truth.true_joints, truth.known)

    def compute(self) -> Scored:
        curves = {name: metric.compute() for name, metric in self._pck.items()}
        figures = {Key("mpjpe_mm", name): float(metric.compute()) for name, metric in self._mpjpe.items()}
        figures |= {Key("mpvpe_mm", name): float(metric.compute()) for name, metric in self._mpvpe.items()}
        figures |= {Key("auc_0_50", name): float(area_under_curve(curve)) for name, curve in curves.items()}
        figures[Key("pa_mpjpe_mm", "similarity")] = float(self._pa.compute())
        return Scored(figures, {name: curve.tolist() for name, curve in curves.items()})


class Scores:
    """All figures of a network's predictions.

    Args:
        device: where the predictions come from.
        uncertainty: whether they say how uncertain they are.
    """

    def __init__(self, device: torch.device | str = "cpu", uncertainty: bool = True) -> None:
        self._hands = HandScores(device)
        self._rough = MPVPE(WRIST_RAW).to(device)
        self._regressed, self._placed = MRRPE().to(device), MRRPE().to(device)
        self._pixels = MeanDistance().to(device)
        self._presence = PresenceAccuracy().to(device)
        self._wrist, self._depth = PlacementError().to(device), PlacementError(depth_only=True).to(device)
        self._calibration = Calibration().to(device) if uncertainty else None

    def update(self, outcome: Comparison) -> None:
        """Add predictions and the truth of some images."""
        o = outcome
        names = (*(p.name for p in PROTOCOLS), "similarity")
        self._hands.update(dict.fromkeys(names, Guess(o.joints, o.vertices)), o)
        self._rough.update(o.rough_vertices, o.rough_joints, o.true_vertices, o.true_joints, o.surfaces)
        self._regressed.update(o.relative_translation, o.true_relative_translation, o.pairs)
        self._placed.update(o.wrist[:, 1] - o.wrist[:, 0], o.true_relative_translation, o.pairs)
        self._pixels.update(o.pixels, o.true_pixels, o.inside)
        self._presence.update(o.presence_logits, o.hands)
        placed = o.hands & o.known[..., WRIST]
        self._wrist.update(o.wrist, o.true_wrist, placed)
        self._depth.update(o.wrist, o.true_wrist, placed)
        if self._calibration is not None:
            rest = slice(WRIST + 1, None)  # in its own frame the wrist has no error
            self._calibration.update(
                o.joint_log_variance[..., rest],
                o.joints[..., rest, :],
                o.true_joints[..., rest, :],
                WRIST_RAW.measurable(o.known)[..., rest],
            )

    def compute(self) -> Scored:
        hands = self._hands.compute()
        figures = hands.figures | {
            Key(*name): float(metric.compute())
            for name, metric in (
                (("rough_mpvpe_mm", WRIST_RAW.name), self._rough),
                (("mrrpe_mm", "regressed"), self._regressed),
                (("mrrpe_mm", "placed"), self._placed),
                (("joints_2d_px256", "in-crop"), self._pixels),
                (("presence", "at-half"), self._presence),
                (("wrist_percent", "camera"), self._wrist),
                (("depth_percent", "camera"), self._depth),
            )
        }
        if self._calibration is None:
            return Scored(figures, hands.pck)
        found = self._calibration.compute()
        reliability, axes = found.pop("reliability").tolist(), found.pop("axes").tolist()
        figures |= {Key(name, "per-axis"): float(value) for name, value in found.items()}
        return Scored(figures, hands.pck, reliability, axes)
