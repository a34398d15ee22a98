"""Settings of a tracker that may change while it runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.inference.tracking.smoothing import Smoothing

_SMOOTHING, _THRESHOLDS = Smoothing(), Thresholds()


class _Estimator(Protocol):
    thresholds: Thresholds


class AdjustableTracker(Protocol):
    """The part of :class:`~lgnet_core.inference.tracking.tracker.HandTracker` that settings change."""

    smoothing: Smoothing | None
    detection_interval: int
    max_gap: float

    @property
    def estimator(self) -> _Estimator: ...


@dataclass(frozen=True)
class TrackerSettings:
    """The settings under the names that the parameters of the ROS node have.

    Args:
        presence_threshold, max_people: see :class:`~lgnet_core.inference.thresholds.Thresholds`.
        detection_interval, tracking_max_gap: see :class:`~lgnet_core.inference.tracking.tracker.HandTracker`.
        smoothing: whether hands are smoothed.
        smoothing_min_cutoff, smoothing_beta: see :class:`~lgnet_core.inference.tracking.smoothing.Smoothing`.
    """

    presence_threshold: float = _THRESHOLDS.presence
    max_people: int = _THRESHOLDS.max_people
    detection_interval: int = 10
    tracking_max_gap: float = 0.5
    smoothing: bool = True
    smoothing_min_cutoff: float = _SMOOTHING.min_cutoff
    smoothing_beta: float = _SMOOTHING.beta

    def apply(self, tracker: AdjustableTracker) -> None:
        """Configure a tracker; equal settings keep the state of its filters.

        Raises:
            ValueError: if a value is out of range.
        """
        estimator = tracker.estimator
        estimator.thresholds = replace(
            estimator.thresholds, presence=self.presence_threshold, max_people=self.max_people
        )
        tracker.detection_interval = self.detection_interval
        tracker.max_gap = self.tracking_max_gap
        tracker.smoothing = (
            Smoothing(min_cutoff=self.smoothing_min_cutoff, beta=self.smoothing_beta) if self.smoothing else None
        )
