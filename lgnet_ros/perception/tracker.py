"""Construction and configuration of the hand tracker from the node's parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Protocol

from lgnet_core.inference import DepthSource, HandEstimator, HandTracker, Smoothing
from lgnet_core.inference.tracking.settings import TrackerSettings
from lgnet_core.types import Camera, ImageArray, ImageHands
from lgnet_ros.parameters.settings import Settings


class Tracker(Protocol):
    """Interface of :class:`lgnet_core.inference.tracking.tracker.HandTracker` as used by the node."""

    estimator: HandEstimator
    smoothing: Smoothing | None
    detection_interval: int
    max_gap: float
    last_stages: dict[str, float]

    def update_people(
        self, image: ImageArray, camera: Camera | None, stamp_ns: int, depth: DepthSource | None = None
    ) -> ImageHands: ...

    def reset(self) -> None: ...


TrackerFactory = Callable[[Settings], Tracker]


def load_tracker(settings: Settings) -> HandTracker:
    """Load the network selected by the parameters and create a tracker for it.

    Raises:
        ValueError, RuntimeError, ImportError, OSError: from the component that failed, with the remedy.
    """
    estimator = HandEstimator.load(
        settings.weights or None,
        settings.device,
        settings.hand_model or None,
        settings.engine,
        hand_length=settings.hand_length or None,
        threads=settings.threads or None,
    )
    tracker = HandTracker(estimator)
    configure_tracker(tracker, settings)
    return tracker


def configure_tracker(tracker: Tracker, settings: Settings) -> None:
    """Apply the parameters that can be changed at run time."""
    names = (field.name for field in fields(TrackerSettings))
    TrackerSettings(**{name: getattr(settings, name) for name in names}).apply(tracker)
    tracker.estimator.hand_length = settings.hand_length or None
