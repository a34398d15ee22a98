"""Tests of the settings of a running tracker."""

from __future__ import annotations

import pytest
from support.fixed_hands import FixedTracker

from lgnet_core.inference import HandTracker, Smoothing, Thresholds
from lgnet_core.inference.tracking.settings import TrackerSettings


def test_settings_reach_the_tracker() -> None:
    tracker = FixedTracker()
    TrackerSettings(0.3, 2, 4, 0.2, smoothing=True, smoothing_min_cutoff=2.0, smoothing_beta=5.0).apply(tracker)
    assert tracker.estimator.thresholds == Thresholds(presence=0.3, max_people=2)
    assert (tracker.detection_interval, tracker.max_gap) == (4, 0.2)
    assert tracker.smoothing == Smoothing(min_cutoff=2.0, beta=5.0)
    TrackerSettings(smoothing=False).apply(tracker)
    assert tracker.smoothing is None


def test_defaults_are_the_trackers() -> None:
    """So that a page that nobody touches changes nothing."""
    settings, tracker = TrackerSettings(), HandTracker(None, Smoothing())
    assert (settings.detection_interval, settings.tracking_max_gap) == (tracker.detection_interval, tracker.max_gap)
    assert Smoothing(settings.smoothing_min_cutoff, settings.smoothing_beta) == tracker.smoothing
    assert (settings.presence_threshold, settings.max_people) == (Thresholds().presence, Thresholds().max_people)


def test_impossible_smoothing_is_refused() -> None:
    with pytest.raises(ValueError, match="min_cutoff"):
        TrackerSettings(smoothing_min_cutoff=0.0).apply(FixedTracker())
