"""An evaluation as charts: PCK curves and the reliability of the uncertainty."""

from __future__ import annotations

from math import isfinite
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lgnet_core.evaluation.baselines import HANDS
from lgnet_core.evaluation.calibration import levels
from lgnet_core.evaluation.evaluate import ALL
from lgnet_core.evaluation.pck import FARTHEST, thresholds
from lgnet_core.evaluation.protocol import PROTOCOLS, WRIST_SCALED
from lgnet_core.evaluation.published import AUC_IN_PERCENT, INTERHAND26M, PCK_OF_LGNET
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
    """PCK curves, a panel for each protocol: each category, and the baselines on all images."""
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
        if report.studies.data == INTERHAND26M and protocol is WRIST_SCALED:  # what its authors state
            millimetres, percent = zip(*PCK_OF_LGNET)
            label = f"LGNet, read from its figure (AUC {AUC_IN_PERCENT['LGNet'] / 100:.3f})"
            axes.plot(millimetres, [value / 100 for value in percent], "o", color=_BASELINE, markersize=4, label=label)
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


def write_asymmetry(path: Path, report: Report) -> None:
    """MPJPE of pairs by how differently their hands are posed; nothing is written where there are no pairs."""
    bins = [one for one in report.studies.asymmetry if one.pairs]
    if not bins:
        return
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    names = [f"{one.low:.0f}-{one.high:.0f}" if isfinite(one.high) else f"from {one.low:.0f}" for one in bins]
    width = 0.8 / len(bins[0].mpjpe)
    for k, protocol in enumerate(bins[0].mpjpe):
        places = [place + k * width for place in range(len(bins))]
        axes.bar(places, [one.mpjpe[protocol] for one in bins], width, label=f"MPJPE, {protocol}")
    axes.set_xticks(range(len(bins)), [f"{name}\n{one.pairs} pairs" for name, one in zip(names, bins)], fontsize=8)
    title = "Pairs by how differently their hands are posed"
    axes.set_title(f"{title}; weights {report.weights} on {report.data}", fontsize=8)
    axes.set(xlabel="pose difference, mm", ylabel="mm")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3, axis="y")
    figure.savefig(path, dpi=110)


def _finish(axes: Axes, right: float, x: str, y: str) -> None:
    axes.set(xlim=(0, right), ylim=(0, 1), xlabel=x, ylabel=y)
    axes.legend(fontsize=8, framealpha=0.4)
    axes.grid(alpha=0.3)
