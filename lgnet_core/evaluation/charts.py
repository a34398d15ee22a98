"""An evaluation as charts: PCK curves and the reliability of the uncertainty."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lgnet_core.evaluation.baselines import HANDS
from lgnet_core.evaluation.calibration import levels
from lgnet_core.evaluation.evaluate import ALL
from lgnet_core.evaluation.pck import FARTHEST, thresholds
from lgnet_core.evaluation.protocol import PROTOCOLS
from lgnet_core.evaluation.report import Report
from lgnet_core.evaluation.scores import TERMS, Key

COLOURS = {
    ALL: "#000000",
    "interacting": "#D55E00",
    "separate": "#0072B2",
    "single-hand": "#009E73",
    "no-hand": "#CC79A7",
}
"""By category; Okabe and Ito's, told apart with every colour vision."""

_BASELINE = "#888888"


def write_pck(path: Path, report: Report) -> None:
    """PCK curves, a panel for each protocol: each category, and the baselines on all pictures."""
    figure = Figure(figsize=(12, 9), layout="constrained")
    figure.suptitle(f"PCK of 3D joints; weights {report.weights} on {report.data}")
    whole = report.results[ALL]
    baselines = (("mean pose, all", "--", whole.mean_pose), (f"nearest of {HANDS:,}, all", ":", whole.nearest))
    for axes, protocol in zip(figure.subplots(2, 2, sharex=True, sharey=True).flat, PROTOCOLS, strict=True):
        curves = [(name, COLOURS[name], "-", result.weights) for name, result in report.results.items() if result.hands]
        curves += [(label, _BASELINE, style, scored) for label, style, scored in baselines if whole.hands]
        for label, colour, style, scored in curves:
            auc = scored.figures[Key("auc_0_50", protocol.name)]
            label = f"{label} (AUC {auc:.3f})"
            axes.plot(thresholds().tolist(), scored.pck[protocol.name], style, color=colour, label=label)
        axes.set_title(f"{protocol.name}\n{TERMS[protocol.name]}", fontsize=8)
        _finish(axes, FARTHEST, "error of a joint up to, mm", "share of the joints, the root among them")
        axes.label_outer()
    figure.savefig(path, dpi=110)


def write_reliability(path: Path, report: Report) -> None:
    """How often errors lie within what was announced, against how often they should: true is the diagonal."""
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.subplots()
    nominal = levels().tolist()
    axes.plot([0, 1], [0, 1], ":", color=_BASELINE, label="true")
    for name, result in report.results.items():
        if result.hands:
            error = result.weights.figures[Key("calibration_error", "per-axis")]
            label = f"{name} (mean distance {error:.3f})"
            axes.plot(nominal, result.weights.reliability, color=COLOURS[name], label=label)
    axes.set_title(f"Uncertainty of 3D joints; weights {report.weights} on {report.data}", fontsize=9)
    _finish(axes, 1, "announced share of errors (above the diagonal: too cautious)", "observed share")
    figure.savefig(path, dpi=110)


def _finish(axes: Axes, right: float, x: str, y: str) -> None:
    axes.set(xlim=(0, right), ylim=(0, 1), xlabel=x, ylabel=y)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
