"""Charts of an evaluation: PCK curves, calibration of the uncertainty, and errors by pose asymmetry."""

from __future__ import annotations

from math import isfinite
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lgnet_core.evaluation.baselines import NUM_RANDOM_HANDS
from lgnet_core.evaluation.evaluate import ALL
from lgnet_core.evaluation.metrics.alignment import ALIGNMENTS, WRIST_SCALED
from lgnet_core.evaluation.metrics.calibration import levels
from lgnet_core.evaluation.metrics.pck import MAX_THRESHOLD, thresholds
from lgnet_core.evaluation.protocols.published_results import AUC_IN_PERCENT, INTERHAND26M, PCK_OF_LGNET
from lgnet_core.evaluation.report.report import EvaluationReport
from lgnet_core.evaluation.scores import PROTOCOL_DESCRIPTIONS, MetricKey

COLOURS = {
    ALL: "#000000",
    "interacting": "#D55E00",
    "separate": "#0072B2",
    "single-hand": "#009E73",
    "no-hand": "#CC79A7",
}
"""By category; Okabe and Ito's palette, distinguishable with colour-vision deficiencies."""

_BASELINE = "#888888"


def write_pck(path: Path, report: EvaluationReport) -> None:
    """PCK curves, one panel per alignment: each category, and the baselines on all images."""
    figure = Figure(figsize=(12, 9), layout="constrained")
    figure.suptitle(f"PCK of 3D joints; weights {report.weights} on {report.data}")
    overall = report.results[ALL]
    baselines = (
        ("mean pose, all", "--", overall.mean_pose),
        (f"nearest of {NUM_RANDOM_HANDS:,}, all", ":", overall.nearest),
    )
    for axes, alignment in zip(figure.subplots(2, 2, sharex=True, sharey=True).flat, ALIGNMENTS, strict=True):
        curves = [(name, COLOURS[name], "-", result.weights) for name, result in report.results.items() if result.hands]
        curves += [(label, _BASELINE, style, summary) for label, style, summary in baselines if overall.hands]
        for label, colour, style, summary in curves:
            auc = summary.metrics[MetricKey("auc_0_50", alignment.name)]
            label = f"{label} (AUC {auc:.3f})"
            axes.plot(thresholds().tolist(), summary.pck[alignment.name], style, color=colour, label=label)
        if report.analyses.data == INTERHAND26M and alignment is WRIST_SCALED:  # as stated by the authors
            millimetres, percent = zip(*PCK_OF_LGNET)
            label = f"LGNet, read from its figure (AUC {AUC_IN_PERCENT['LGNet'] / 100:.3f})"
            axes.plot(millimetres, [value / 100 for value in percent], "o", color=_BASELINE, markersize=4, label=label)
        axes.set_title(f"{alignment.name}\n{PROTOCOL_DESCRIPTIONS[alignment.name]}", fontsize=8)
        _format_axes(axes, MAX_THRESHOLD, "error threshold, mm", "fraction of joints, including the root")
        axes.label_outer()
    figure.savefig(path, dpi=110)


def write_reliability(path: Path, report: EvaluationReport) -> None:
    """Reliability curve: observed fraction of errors over the nominal one; the diagonal is a calibrated prediction."""
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.subplots()
    nominal = levels().tolist()
    axes.plot([0, 1], [0, 1], ":", color=_BASELINE, label="calibrated")
    for name, result in report.results.items():
        if result.hands:
            error = result.weights.metrics[MetricKey("calibration_error", "per-axis")]
            label = f"{name} (mean distance {error:.3f})"
            axes.plot(nominal, result.weights.reliability, color=COLOURS[name], label=label)
    axes.set_title(f"Uncertainty of 3D joints; weights {report.weights} on {report.data}", fontsize=9)
    _format_axes(axes, 1, "nominal fraction of errors (above the diagonal: underconfident)", "observed fraction")
    figure.savefig(path, dpi=110)


def write_asymmetry(path: Path, report: EvaluationReport) -> None:
    """MPJPE of pairs by pose difference; nothing is written without pairs."""
    bins = [pose_bin for pose_bin in report.analyses.asymmetry if pose_bin.pairs]
    if not bins:
        return
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    names = [
        f"{pose_bin.low:.0f}-{pose_bin.high:.0f}" if isfinite(pose_bin.high) else f"from {pose_bin.low:.0f}"
        for pose_bin in bins
    ]
    width = 0.8 / len(bins[0].mpjpe)
    for k, protocol in enumerate(bins[0].mpjpe):
        positions = [position + k * width for position in range(len(bins))]
        axes.bar(positions, [pose_bin.mpjpe[protocol] for pose_bin in bins], width, label=f"MPJPE, {protocol}")
    axes.set_xticks(
        range(len(bins)), [f"{name}\n{pose_bin.pairs} pairs" for name, pose_bin in zip(names, bins)], fontsize=8
    )
    title = "Pairs by pose difference of the hands"
    axes.set_title(f"{title}; weights {report.weights} on {report.data}", fontsize=8)
    axes.set(xlabel="pose difference, mm", ylabel="mm")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3, axis="y")
    figure.savefig(path, dpi=110)


def _format_axes(axes: Axes, right: float, x: str, y: str) -> None:
    axes.set(xlim=(0, right), ylim=(0, 1), xlabel=x, ylabel=y)
    axes.legend(fontsize=8, framealpha=0.4)
    axes.grid(alpha=0.3)
