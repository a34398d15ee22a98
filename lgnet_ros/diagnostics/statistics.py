"""Image processing statistics: totals since configuration, and rates and latencies over a sliding window."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

WINDOW_SECONDS = 5.0
"""Length of the sliding window for rates, latencies and recent problems."""

_MAX_EVENTS = 2000  # events kept per kind: 5 s of a 400 Hz camera, and a bound on memory


@dataclass(frozen=True)
class Snapshot:
    """State of :class:`Statistics` at one time.

    Args:
        received, dropped, processed, uncalibrated, failed: numbers of images since configuration: received, replaced by
            a newer image before processing, published, without calibration, failed with an error.
        lost: number of images lost in transport since configuration, as counted by the middleware; None if it does not
            count them.
        borrowed: number of images that were processed with the calibration of another image.
        rejected: number of invalid messages per key of :data:`lgnet_core.messages.invalid_message.REASONS`.
        received_rate, processed_rate: Hz, in the window.
        loss_fraction: fraction of images lost in transport in the window; None if it is unknown, or without any image.
        latency: median and 95th percentile of each stage's duration in the window, seconds.
        time_since_received, time_since_processed: seconds since the last image; None if there was none.
        pending_time: seconds since an image was queued without any image being completed; None if none is pending.
        last_stamp: of the last processed image, nanoseconds.
        recent_uncalibrated, recent_failed, recent_rejected: as above, in the window.
        last_error: message of the last error.
        uncalibrated_reason: of the last image without calibration.
        recent_warnings: text of each kind of warning in the window.
    """

    received: int
    dropped: int
    processed: int
    uncalibrated: int
    failed: int
    lost: int | None
    borrowed: int
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
    uncalibrated_reason: str
    recent_warnings: Mapping[str, str]


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
            self._last_error = self._uncalibrated_reason = ""
            self._counts_losses = True
            self._warnings: dict[str, tuple[float, str]] = {}
            # Events of the sliding window: time and value.
            self._received: deque[float] = deque(maxlen=_MAX_EVENTS)
            self._lost: deque[tuple[float, int]] = deque(maxlen=_MAX_EVENTS)
            self._stages: deque[tuple[float, Mapping[str, float]]] = deque(maxlen=_MAX_EVENTS)
            self._problems: deque[tuple[float, str]] = deque(maxlen=_MAX_EVENTS)

    def record_received(self) -> None:
        """Count a received image."""
        with self._lock:
            self._received.append(self._count("received"))

    def record_lost(self, count: int) -> None:
        """Count images that the middleware reports as lost in transport."""
        with self._lock:
            self._lost.append((self._count("lost", count), count))

    def set_counts_losses(self, counts_losses: bool) -> None:
        """Set whether the middleware reports lost images; otherwise their number is unknown."""
        with self._lock:
            self._counts_losses = counts_losses

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
        """Count an invalid message; ``key`` is one of :data:`lgnet_core.messages.invalid_message.REASONS`."""
        with self._lock:
            self._problems.append((self._complete("rejected"), key))
            self._rejected[key] += 1

    def record_uncalibrated(self, reason: str) -> None:
        """Count an image without calibration."""
        with self._lock:
            self._problems.append((self._complete("uncalibrated"), "uncalibrated"))
            self._uncalibrated_reason = reason

    def record_borrowed(self) -> None:
        """Count an image that is processed with the calibration of another image."""
        with self._lock:
            self._count("borrowed")

    def record_warning(self, kind: str, text: str) -> None:
        """Note a problem that does not prevent processing; of each kind, the latest text is kept."""
        with self._lock:
            self._warnings[kind] = (self._clock(), text)

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
            received = [t for t in self._received if t >= start]
            lost = sum(count for t, count in self._lost if t >= start)
            processed = [(t, stage_seconds) for t, stage_seconds in self._stages if t >= start]
            problems = Counter(problem for t, problem in self._problems if t >= start)
            elapsed = {event: now - t for event, t in self._last_time.items()}
            pending_time = None if self._pending_since is None else now - self._pending_since
            rejected, last_stamp, last_error = dict(self._rejected), self._last_stamp, self._last_error
            uncalibrated_reason, counts_losses = self._uncalibrated_reason, self._counts_losses
            warnings = {kind: text for kind, (t, text) in self._warnings.items() if t >= start}
        return Snapshot(
            received=totals["received"],
            dropped=totals["dropped"],
            processed=totals["processed"],
            uncalibrated=totals["uncalibrated"],
            failed=totals["failed"],
            lost=totals["lost"] if counts_losses else None,
            borrowed=totals["borrowed"],
            rejected=rejected,
            received_rate=_rate(received),
            processed_rate=_rate([t for t, _ in processed]),
            loss_fraction=lost / (lost + len(received)) if counts_losses and (lost or received) else None,
            latency=_latency([stage_seconds for _, stage_seconds in processed]),
            time_since_received=elapsed.get("received"),
            time_since_processed=elapsed.get("processed"),
            pending_time=pending_time,
            last_stamp=last_stamp,
            recent_uncalibrated=problems.pop("uncalibrated", 0),
            recent_failed=problems.pop("failed", 0),
            recent_rejected=dict(problems),
            last_error=last_error,
            uncalibrated_reason=uncalibrated_reason,
            recent_warnings=warnings,
        )

    def _complete(self, event: str) -> float:
        """:meth:`_count` of an event that completes an image."""
        self._pending_since = None
        return self._count(event)

    def _count(self, event: str, count: int = 1) -> float:
        """Count an event and return its time."""
        now = self._clock()
        self._totals[event] += count
        self._last_time[event] = now
        return now


def _rate(times: list[float]) -> float:
    """Rate (Hz) of events at these times (seconds); 0 for fewer than two."""
    return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 0.0


def _latency(stages: list[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    """Median and 95th percentile of each stage, in the order of the last image's stages."""
    names = dict.fromkeys(name for stage_seconds in stages[-1:] + stages for name in stage_seconds)
    latency = {}
    for name in names:
        values = [stage_seconds[name] for stage_seconds in stages if name in stage_seconds]
        median, p95 = np.percentile(values, (50, 95))
        latency[name] = (float(median), float(p95))
    return latency
