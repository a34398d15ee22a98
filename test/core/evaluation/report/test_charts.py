"""Charts contain the results; categories without hands have no curve."""

from __future__ import annotations

import cv2
import pytest
from matplotlib.figure import Figure
from support.oracle_network import OracleNetwork, SmallDataset

from lgnet_core.evaluation.evaluate import ALL, evaluate
from lgnet_core.evaluation.metrics.alignment import ALIGNMENTS
from lgnet_core.evaluation.metrics.pck import thresholds
from lgnet_core.evaluation.report.charts import write_pck, write_reliability
from lgnet_core.evaluation.report.report import EvaluationReport


@pytest.fixture(scope="module")
def report(hand_model) -> EvaluationReport:
    images = SmallDataset(hand_model, count=16)
    return EvaluationReport(evaluate(OracleNetwork(images, hand_model), images, 64), "a small set", "w", {})


@pytest.fixture
def saved_figures(monkeypatch) -> list[Figure]:
    """Figures that are saved."""
    figures: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *arguments, **options: figures.append(self) or save(self, *arguments, **options)
    )
    return figures


def test_pck(report, saved_figures, tmp_path):
    write_pck(tmp_path / "pck.png", report)
    assert cv2.imread(str(tmp_path / "pck.png")).shape[0] > 600
    (figure,) = saved_figures
    assert "weights w on a small set" in figure.get_suptitle()
    for axes, alignment in zip(figure.axes, ALIGNMENTS, strict=True):
        curves = {line.get_label().split(" (")[0]: line for line in axes.lines}
        assert set(curves) == {ALL, "interacting", "separate", "single-hand", "mean pose, all", "nearest of 1,000, all"}
        assert list(curves[ALL].get_xdata()) == thresholds().tolist()
        assert list(curves[ALL].get_ydata()) == report.results[ALL].weights.pck[alignment.name]
        assert list(curves["mean pose, all"].get_ydata()) == report.results[ALL].mean_pose.pck[alignment.name]
        assert alignment.name in axes.get_title()


def test_reliability(report, saved_figures, tmp_path):
    write_reliability(tmp_path / "reliability.png", report)
    assert cv2.imread(str(tmp_path / "reliability.png")) is not None
    curves = {line.get_label().split(" (")[0]: line for line in saved_figures[0].axes[0].lines}
    assert list(curves[ALL].get_ydata()) == report.results[ALL].weights.reliability
    assert "no-hand" not in curves
