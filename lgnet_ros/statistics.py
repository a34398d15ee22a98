"""Image processing statistics: totals since configuration, and rates and latencies over a sliding window."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from lgnet_core.types import FloatArray

WINDOW_SECONDS = 5.0
"""Length of the sliding window for rates, latencies and recent errors."""

_MAX_EVENTS = 2000  # events kept per kind: 5 s of a 400 Hz camera, and a bound on memory
_MAX_STAMP_GAP = 1.0  # seconds between two stamps; longer gaps are pauses or clock jumps
_MAX_RESIDUAL = 0.18  # mean distance of stamp steps from multiples of the period, in periods; 0.25 if not periodic


@dataclass(frozen=True)
class Snapshot:
    """State of :class:`Statistics` at one time.

    Args:
        received, dropped, processed, uncalibrated, failed: numbers of images since configuration: received, replaced by
            a newer image before processing, published, without calibration, failed with an error.
        rejected: number of invalid messages per key of :data:`lgnet_ros.input.invalid_message.REASONS`.
        received_rate, processed_rate: Hz, in the window.
        loss_fraction: fraction of images lost in transport in the window, estimated from gaps between stamps; None if
            it cannot be estimated.
        latency: median and 95th percentile of each stage's duration in the window, seconds.
        time_since_received, time_since_processed: seconds since the last image; None if there was none.
        pending_time: seconds since an image was queued without any image being completed; None if none is pending.
        last_stamp: of the last processed image, nanoseconds.
        recent_uncalibrated, recent_failed, recent_rejected: as above, in the window.
        last_error: message of the last error.
    """

    received: int
    dropped: int
    processed: int
    uncalibrated: int
    failed: int
    rejected: Mapping[str, int]
    received_rate: float
    processed_rate: float
    loss_fraction: float | None
    latency: Mapping[str, tuple[float, float]]
    time_since_received: float | None
    time_since_processed: float | None
    pending_time: float | None
    last_stamp: int | None
    recent_uncalibrated: int
    recent_failed: int
    recent_rejected: Mapping[str, int]
    last_error: str


class Statistics:
    """Thread-safe counters of image events.

    Args:
        clock: monotonic time, seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Discard all counts."""
        with self._lock:
            self._totals: Counter[str] = Counter()
            self._rejected: Counter[str] = Counter()
            self._last_time: dict[str, float] = {}
            self._pending_since: float | None = None
            self._last_stamp: int | None = None
            self._last_error = ""
            # Events of the sliding window: time and value.
            self._stamps: deque[tuple[float, int]] = deque(maxlen=_MAX_EVENTS)
            self._stages: deque[tuple[float, Mapping[str, float]]] = deque(maxlen=_MAX_EVENTS)
            self._problems: deque[tuple[float, str]] = deque(maxlen=_MAX_EVENTS)

    def record_received(self, stamp_ns: int) -> None:
        """Count a received image with its stamp, nanoseconds."""
        with self._lock:
            self._stamps.append((self._count("received"), stamp_ns))

    def record_queued(self) -> None:
        """Note that an image is pending."""
        with self._lock:
            if self._pending_since is None:
                self._pending_since = self._clock()

    def record_dropped(self) -> None:
        """Count an image replaced by a newer one before processing; normal if the camera outruns the network."""
        with self._lock:
            self._count("dropped")

    def record_rejected(self, key: str) -> None:
        """Count an invalid message; ``key`` is one of :data:`lgnet_ros.input.invalid_message.REASONS`."""
        with self._lock:
            self._problems.append((self._complete("rejected"), key))
            self._rejected[key] += 1

    def record_uncalibrated(self) -> None:
        """Count an image without calibration."""
        with self._lock:
            self._problems.append((self._complete("uncalibrated"), "uncalibrated"))

    def record_failed(self, error: str) -> None:
        """Count an image whose processing failed."""
        with self._lock:
            self._problems.append((self._complete("failed"), "failed"))
            self._last_error = error

    def record_processed(self, stage_seconds: Mapping[str, float], stamp_ns: int) -> None:
        """Count an image whose hands were published, with the duration of each stage and its stamp, nanoseconds."""
        with self._lock:
            self._stages.append((self._complete("processed"), dict(stage_seconds)))
            self._last_stamp = stamp_ns

    def snapshot(self) -> Snapshot:
        """Return the current statistics."""
        with self._lock:
            now = self._clock()
            start = now - WINDOW_SECONDS
            totals = Counter(self._totals)
            received = [(t, stamp) for t, stamp in self._stamps if t >= start]
            processed = [(t, stage_seconds) for t, stage_seconds in self._stages if t >= start]
            problems = Counter(problem for t, problem in self._problems if t >= start)
            elapsed = {event: now - t for event, t in self._last_time.items()}
            pending_time = None if self._pending_since is None else now - self._pending_since
            rejected, last_stamp, last_error = dict(self._rejected), self._last_stamp, self._last_error
        return Snapshot(
            received=totals["received"],
            dropped=totals["dropped"],
            processed=totals["processed"],
            uncalibrated=totals["uncalibrated"],
            failed=totals["failed"],
            rejected=rejected,
            received_rate=_rate([t for t, _ in received]),
            processed_rate=_rate([t for t, _ in processed]),
            loss_fraction=_estimate_loss([stamp for _, stamp in received]),
            latency=_latency([stage_seconds for _, stage_seconds in processed]),
            time_since_received=elapsed.get("received"),
            time_since_processed=elapsed.get("processed"),
            pending_time=pending_time,
            last_stamp=last_stamp,
            recent_uncalibrated=problems.pop("uncalibrated", 0),
            recent_failed=problems.pop("failed", 0),
            recent_rejected=dict(problems),
            last_error=last_error,
        )

    def _complete(self, event: str) -> float:
        """:meth:`_count` of an event that completes an image."""
        self._pending_since = None
        return self._count(event)

    def _count(self, event: str) -> float:
        """Count an event and return its time."""
        now = self._clock()
        self._totals[event] += 1
        self._last_time[event] = now
        return now


def _rate(times: list[float]) -> float:
    """Rate (Hz) of events at these times (seconds); 0 for fewer than two."""
    return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 0.0


def _estimate_loss(stamps: list[int]) -> float | None:
    """Estimate the fraction of missing images from the gaps between stamps (nanoseconds).

    The shortest steps are those between consecutive images, however many are missing, so the search for the camera's
    period starts from their 10th percentile. None if the steps are not multiples of a period: where drivers stamp on
    arrival, jitter can be too large to be distinguished from loss.
    """
    steps: FloatArray = np.diff(np.array(stamps, np.int64)) / 1e9
    steps = steps[(steps > 0) & (steps < _MAX_STAMP_GAP)]
    if len(steps) < 10:
        return None
    period = np.percentile(steps, 10)
    for _ in range(5):  # jitter biases the shortest steps, but not the median of all steps over their multiples
        period = np.median(steps / np.rint(steps / period).clip(1))
    periods = steps / period
    multiples = np.rint(periods).clip(1)
    if np.abs(periods - multiples).mean() > _MAX_RESIDUAL:
        return None
    missing = (multiples - 1).sum()
    return float(missing / (missing + len(steps)))


def _latency(stages: list[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    """Median and 95th percentile of each stage, in the order of the last image's stages."""
    names = dict.fromkeys(name for stage_seconds in stages[-1:] + stages for name in stage_seconds)
    latency = {}
    for name in names:
        values = [stage_seconds[name] for stage_seconds in stages if name in stage_seconds]
        median, p95 = np.percentile(values, (50, 95))
        latency[name] = (float(median), float(p95))
    return latency
