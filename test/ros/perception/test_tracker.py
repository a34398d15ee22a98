"""Tests of the tracker's construction and configuration from parameters."""

from __future__ import annotations

from types import SimpleNamespace

from support.fixed_hands import FixedTracker

from lgnet_core.inference import Smoothing, Thresholds
from lgnet_core.inference.tracking.settings import TrackerSettings
from lgnet_ros.parameters.settings import Settings
from lgnet_ros.perception.tracker import configure_tracker, load_tracker


def test_parameters_are_applied():
    tracker = FixedTracker()
    settings = Settings(
        presence_threshold=0.3,
        detection_interval=4,
        tracking_max_gap=0.2,
        smoothing=False,
        max_people=2,
        hand_length=0.17,
    )
    configure_tracker(tracker, settings)
    assert tracker.estimator.hand_length == 0.17
    assert tracker.estimator.thresholds == Thresholds(presence=0.3, max_people=2)
    assert (tracker.detection_interval, tracker.max_gap) == (4, 0.2)
    assert tracker.smoothing is None
    configure_tracker(tracker, Settings(smoothing_min_cutoff=2.0, smoothing_beta=5.0))
    assert tracker.smoothing == Smoothing(min_cutoff=2.0, beta=5.0)
    assert tracker.estimator.hand_length is None


def test_defaults_are_the_trackers():
    tracker, expected = FixedTracker(), FixedTracker()
    configure_tracker(tracker, Settings())
    TrackerSettings().apply(expected)
    for name in ("smoothing", "detection_interval", "max_gap"):
        assert getattr(tracker, name) == getattr(expected, name)
    assert tracker.estimator.thresholds == expected.estimator.thresholds


def test_unchanged_parameters_keep_the_filter():
    """Equal settings give an equal filter configuration, so that the filter state is kept."""
    tracker, settings = FixedTracker(), Settings()
    configure_tracker(tracker, settings)
    first = tracker.smoothing
    configure_tracker(tracker, settings)
    assert tracker.smoothing == first


def test_parameters_are_passed_to_the_estimator(monkeypatch):
    """Empty strings and zeros mean "not set"."""
    calls: list[tuple[tuple, dict]] = []

    def load(*args, **kwargs):
        calls.append((args, kwargs))
        return SimpleNamespace(thresholds=Thresholds())

    monkeypatch.setattr("lgnet_ros.perception.tracker.HandEstimator.load", load)
    load_tracker(Settings())
    tracker = load_tracker(
        Settings(weights="w", device="cpu", hand_model="m", engine="onnx", hand_length=0.18, threads=3, max_people=3)
    )
    assert tracker.estimator.thresholds.max_people == 3  # before the networks are warmed up
    defaults = {"hand_length": None, "threads": None}
    assert calls[0] == ((None, "auto", None, "auto"), defaults)
    assert calls[1] == (("w", "cpu", "m", "onnx"), defaults | {"hand_length": 0.18, "threads": 3})
