"""Charts are written, and show what was measured; categories without hands have no curve."""

from __future__ import annotations

import cv2
import pytest
from matplotlib.figure import Figure
from support.perfect import KnowingNetwork, SmallSet

from lgnet_core.evaluation.charts import write_pck, write_reliability
from lgnet_core.evaluation.evaluate import ALL, evaluate
from lgnet_core.evaluation.pck import thresholds
from lgnet_core.evaluation.protocol import PROTOCOLS
from lgnet_core.evaluation.report import Report


@pytest.fixture(scope="module")
def report(hand_model) -> Report:
    images = SmallSet(hand_model, count=16)
    return Report(evaluate(KnowingNetwork(images, hand_model), images, 64), "a small set", "w", {})


@pytest.fixture
def drawn(monkeypatch) -> list[Figure]:
    """Figures that are saved."""
    found: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *given, **more: found.append(self) or save(self, *given, **more)
    )
    return found


def test_pck(report, drawn, tmp_path):
    write_pck(tmp_path / "pck.png", report)
    assert cv2.imread(str(tmp_path / "pck.png")).shape[0] > 600
    (figure,) = drawn
    assert "weights w on a small set" in figure.get_suptitle()
    for axes, protocol in zip(figure.axes, PROTOCOLS, strict=True):
        curves = {line.get_label().split(" (")[0]: line for line in axes.lines}
        assert set(curves) == {ALL, "interacting", "separate", "single-hand", "mean pose, all", "nearest of 1,000, all"}
        assert list(curves[ALL].get_xdata()) == thresholds().tolist()
        assert list(curves[ALL].get_ydata()) == report.results[ALL].weights.pck[protocol.name]
        assert list(curves["mean pose, all"].get_ydata()) == report.results[ALL].mean_pose.pck[protocol.name]
        assert protocol.name in axes.get_title()


def test_reliability(report, drawn, tmp_path):
    write_reliability(tmp_path / "reliability.png", report)
    assert cv2.imread(str(tmp_path / "reliability.png")) is not None
    curves = {line.get_label().split(" (")[0]: line for line in drawn[0].axes[0].lines}
    assert list(curves[ALL].get_ydata()) == report.results[ALL].weights.reliability
    assert "no-hand" not in curves
