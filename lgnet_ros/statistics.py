"""What happens to images, counted: totals since the node was configured, and a window over the last seconds."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from lgnet_core.types import FloatArray

HORIZON = 5.0
"""Seconds that "lately" means."""

_MOST = 2000  # events kept: 5 s of the fastest camera, and a bound on memory
_LONGEST_GAP = 1.0  # seconds between two stamps; more is a pause or a jump of the clock
_UNEVEN = 0.18  # mean distance of the steps from multiples of the period, in periods: 0.25 if there is no period at all


@dataclass(frozen=True)
class Snapshot:
    """What :class:`Statistics` knows at one time.

    Args:
        received, dropped, processed, uncalibrated, failed: images since the node was configured: that came; that a
            newer one replaced before they were looked at; with their hands published; without calibration; that an
            error cost.
        rejected: messages by key of :data:`lgnet_ros.input.invalid_message.REASONS`, likewise.
        received_rate, processed_rate: Hz, lately.
        lost: share of images that never came, lately, told by gaps between stamps; None: too few came to tell.
        latency: seconds by stage, median and 95th percentile, lately.
        since_received, since_processed: seconds since the last one; None: none yet.
        waiting: seconds for which images have waited without the node being done with one; None: none waits.
        last_stamp: of the last image that was processed, nanoseconds.
        lately_uncalibrated, lately_failed, lately_rejected: as above.
        last_failure: its text.
    """

    received: int
    dropped: int
    processed: int
    uncalibrated: int
    failed: int
    rejected: Mapping[str, int]
    received_rate: float
    processed_rate: float
    lost: float | None
    latency: Mapping[str, tuple[float, float]]
    since_received: float | None
    since_processed: float | None
    waiting: float | None
    last_stamp: int | None
    lately_uncalibrated: int
    lately_failed: int
    lately_rejected: Mapping[str, int]
    last_failure: str


class Statistics:
    """Counts what happens to images. Every method may be called from any thread, and returns at once.

    Args:
        clock: seconds, never set back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        with self._lock:
            self._totals: Counter[str] = Counter()
            self._rejected: Counter[str] = Counter()
            self._last_time: dict[str, float] = {}
            self._waiting_since: float | None = None
            self._last_stamp: int | None = None
            self._last_failure = ""
            # Lately: the time of each event, and what is to be told of it.
            self._stamps: deque[tuple[float, int]] = deque(maxlen=_MOST)
            self._stages: deque[tuple[float, Mapping[str, float]]] = deque(maxlen=_MOST)
            self._troubles: deque[tuple[float, str]] = deque(maxlen=_MOST)

    def received(self, stamp_ns: int) -> None:
        """An image came, with this stamp (nanoseconds)."""
        with self._lock:
            self._stamps.append((self._count("received"), stamp_ns))

    def waits(self) -> None:
        """An image is to be looked at."""
        with self._lock:
            if self._waiting_since is None:
                self._waiting_since = self._clock()

    def dropped(self) -> None:
        """An image was replaced by a newer one before it was looked at: normal where images outrun the network."""
        with self._lock:
            self._count("dropped")

    def rejected(self, key: str) -> None:
        """A message cannot be used; ``key`` as in :data:`lgnet_ros.input.invalid_message.REASONS`."""
        with self._lock:
            self._troubles.append((self._done("rejected"), key))
            self._rejected[key] += 1

    def uncalibrated(self) -> None:
        """An image came without a calibration."""
        with self._lock:
            self._troubles.append((self._done("uncalibrated"), "uncalibrated"))

    def failed(self, text: str) -> None:
        """An error cost an image."""
        with self._lock:
            self._troubles.append((self._done("failed"), "failed"))
            self._last_failure = text

    def processed(self, stages: Mapping[str, float], stamp_ns: int) -> None:
        """An image's hands were published; seconds by stage, and its stamp (nanoseconds)."""
        with self._lock:
            self._stages.append((self._done("processed"), dict(stages)))
            self._last_stamp = stamp_ns

    def snapshot(self) -> Snapshot:
        """All there is to tell now."""
        with self._lock:
            now = self._clock()
            start = now - HORIZON
            totals = Counter(self._totals)
            received = [(t, stamp) for t, stamp in self._stamps if t >= start]
            processed = [(t, seconds) for t, seconds in self._stages if t >= start]
            troubles = Counter(trouble for t, trouble in self._troubles if t >= start)
            since = {name: now - t for name, t in self._last_time.items()}
            waiting = None if self._waiting_since is None else now - self._waiting_since
            rejected, last_stamp, failure = dict(self._rejected), self._last_stamp, self._last_failure
        return Snapshot(
            received=totals["received"],
            dropped=totals["dropped"],
            processed=totals["processed"],
            uncalibrated=totals["uncalibrated"],
            failed=totals["failed"],
            rejected=rejected,
            received_rate=_rate([t for t, _ in received]),
            processed_rate=_rate([t for t, _ in processed]),
            lost=_lost([stamp for _, stamp in received]),
            latency=_latency([seconds for _, seconds in processed]),
            since_received=since.get("received"),
            since_processed=since.get("processed"),
            waiting=waiting,
            last_stamp=last_stamp,
            lately_uncalibrated=troubles.pop("uncalibrated", 0),
            lately_failed=troubles.pop("failed", 0),
            lately_rejected=dict(troubles),
            last_failure=failure,
        )

    def _done(self, event: str) -> float:
        """:meth:`_count` of what ends an image."""
        self._waiting_since = None
        return self._count(event)

    def _count(self, event: str) -> float:
        """The time of an event, after counting it."""
        now = self._clock()
        self._totals[event] += 1
        self._last_time[event] = now
        return now


def _rate(times: list[float]) -> float:
    """Hz of events at these times, seconds; 0 for fewer than two."""
    return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 0.0


def _lost(stamps: list[int]) -> float | None:
    """Share of images that are missing between stamps (nanoseconds).

    The shortest steps are those between neighbours, however many were lost, so the search for the camera's period
    begins at their 10th percentile. None where the steps are no multiples of any period: stamps of arrival may jitter
    by more than can be told from a loss.
    """
    steps: FloatArray = np.diff(np.array(stamps, np.int64)) / 1e9
    steps = steps[(steps > 0) & (steps < _LONGEST_GAP)]
    if len(steps) < 10:
        return None
    period = np.percentile(steps, 10)
    for _ in range(5):  # jitter makes the shortest steps too short; the median of all, each over its multiple, is not
        period = np.median(steps / np.rint(steps / period).clip(1))
    periods = steps / period
    whole = np.rint(periods).clip(1)
    if np.abs(periods - whole).mean() > _UNEVEN:
        return None
    missing = (whole - 1).sum()
    return float(missing / (missing + len(steps)))


def _latency(stages: list[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    """Median and 95th percentile by stage, in the order in which the last image went through them."""
    names = dict.fromkeys(name for seconds in stages[-1:] + stages for name in seconds)
    found = {}
    for name in names:
        median, high = np.percentile([seconds[name] for seconds in stages if name in seconds], (50, 95))
        found[name] = (float(median), float(high))
    return found
