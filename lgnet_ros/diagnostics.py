"""The node's health on ``/diagnostics``: how it is, why, and the figures behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from lgnet_core.network.checkpoint import BUNDLED_WEIGHTS, weights_digest
from lgnet_ros import topics
from lgnet_ros.parameters import Settings
from lgnet_ros.qos import diagnostics_profile, output_overrides
from lgnet_ros.statistics import HORIZON, Snapshot, Statistics

if TYPE_CHECKING:
    from rclpy.node import Node

    from lgnet_core.inference import HandEstimator

MUCH_LOST = 0.1  # share of images that never came

_SEVERITY = (DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.STALE, DiagnosticStatus.ERROR)
"""From best to worst."""


class Active(Protocol):
    """What the diagnostics ask of a node that is active: :class:`lgnet_ros.pipeline.Pipeline`."""

    @property
    def qos(self) -> Mapping[str, str]:
        """Each topic that is subscribed to, and how."""

    @property
    def qos_problems(self) -> list[str]:
        """Publishers that cannot be heard, subscribers that cannot hear."""


def judge(
    snapshot: Snapshot, qos_problems: Iterable[str], active_for: float | None, image_timeout: float, fault: str = ""
) -> tuple[bytes, str]:
    """How the node is.

    Dropped images are no trouble: a network that is slower than the camera takes the newest and leaves the others.

    Args:
        qos_problems: a sentence for each.
        active_for: seconds since the node was activated; None: it is not active.
        image_timeout: seconds that are too long without an image, or without being done with one.
        fault: of the node as a whole, such as a transition that failed.

    Returns:
        The worst of the levels of DiagnosticStatus that apply, and all reasons, the worst first.
    """
    found: list[tuple[bytes, str]] = []
    if fault:
        found.append((DiagnosticStatus.ERROR, fault))
    if active_for is None:
        found.append((DiagnosticStatus.OK, "not active"))
    else:
        found += _troubles(snapshot)
        found += [(DiagnosticStatus.WARN, problem) for problem in qos_problems]
        silent = active_for if snapshot.since_received is None else min(active_for, snapshot.since_received)
        if silent > image_timeout:
            found.append((DiagnosticStatus.STALE, f"no image for {silent:.1f} s"))
        elif silent == active_for:  # the last one, if any, came before
            found.append((DiagnosticStatus.WARN, "waiting for the first image"))
        elif snapshot.waiting is not None and (stuck := min(active_for, snapshot.waiting)) > image_timeout:
            found.append((DiagnosticStatus.ERROR, f"images arrive, but none was done with for {stuck:.1f} s"))
    if not found:
        found.append((DiagnosticStatus.OK, f"hands published at {snapshot.processed_rate:.1f} Hz"))
    found.sort(key=lambda reason: -_SEVERITY.index(reason[0]))
    return found[0][0], "; ".join(text for _, text in found)


def _troubles(snapshot: Snapshot) -> list[tuple[bytes, str]]:
    """What went wrong lately."""
    lately = f"in the last {HORIZON:g} s"
    found = []
    if snapshot.lately_failed:
        text = f"{snapshot.lately_failed} image(s) lost to errors {lately}, the last to: {snapshot.last_failure}"
        found.append((DiagnosticStatus.ERROR, text))
    if snapshot.lately_rejected:
        reasons = ", ".join(f"{key} {count}" for key, count in sorted(snapshot.lately_rejected.items()))
        found.append((DiagnosticStatus.WARN, f"messages rejected {lately}: {reasons}"))
    if snapshot.lately_uncalibrated:
        found.append((DiagnosticStatus.WARN, f"no calibration on {topics.CAMERA_INFO}: nothing metric is published"))
    if snapshot.lost is not None and snapshot.lost > MUCH_LOST:
        text = (
            f"{snapshot.lost:.0%} of the images are lost before they arrive; publish them reliably, or raise Fast "
            "DDS's shared memory (config/fastdds.xml)"
        )
        found.append((DiagnosticStatus.WARN, text))
    return found


def figures(snapshot: Snapshot, stamp_age: float | None) -> dict[str, str]:
    """The figures as texts, units in their names.

    Args:
        stamp_age: seconds from the stamp of the last image that was processed to now, by the node's clock.
    """
    rejected = ", ".join(f"{key} {count}" for key, count in sorted(snapshot.rejected.items()))
    values = {
        "images received": str(snapshot.received),
        "images processed": str(snapshot.processed),
        "images dropped for newer ones": str(snapshot.dropped),
        "images lost to errors": str(snapshot.failed),
        "images without calibration": str(snapshot.uncalibrated),
        "messages rejected": rejected or "0",
        "receiving rate (Hz)": f"{snapshot.received_rate:.1f}",
        "publishing rate (Hz)": f"{snapshot.processed_rate:.1f}",
        "lost before they arrive (%)": _number(snapshot.lost, 100),
        "last image received (s ago)": _number(snapshot.since_received),
        "last image processed (s ago)": _number(snapshot.since_processed),
        "age of the last image's stamp (s)": _number(stamp_age),
    }
    for stage, (median, high) in snapshot.latency.items():
        values[f"latency of {stage}, p50 (ms)"] = _number(median, 1e3)
        values[f"latency of {stage}, p95 (ms)"] = _number(high, 1e3)
    return values


class Diagnostics:
    """Publishes a node's health, from configuration to clean-up and in between.

    Args:
        node: whose health it is; its parameters must have been declared.
        clock: seconds, never set back.
    """

    def __init__(self, node: Node, clock: Callable[[], float] = time.monotonic) -> None:
        self.statistics = Statistics(clock)
        self._node = node
        self._clock = clock
        self._publisher = node.create_publisher(
            DiagnosticArray, topics.DIAGNOSTICS, diagnostics_profile(), qos_overriding_options=output_overrides()
        )
        self._fault = ""
        self._setup: dict[str, str] = {}
        self._session: Active | None = None
        self._activated = 0.0

    def clear(self) -> None:
        """Before the node is configured: nothing is known, nothing is wrong."""
        self.statistics.clear()
        self._fault, self._setup = "", {}

    def fault(self, text: str) -> None:
        """An ERROR until :meth:`clear`."""
        self._fault = text

    def describe(self, settings: Settings, estimator: HandEstimator) -> None:
        """Tell what the node was configured with."""
        engine = estimator.engines["hands"]  # all of them are of one kind, on one device
        self._setup = {
            "device": engine.device,
            "engine": f"{engine.name}, {engine.precision}",
            "weights": settings.weights or "bundled",
            "weights (sha256)": _digest(settings.weights),
            "hand model": settings.hand_model or "bundled",
            "hand model (digest)": estimator.hand_model.digest,
        }

    def publish(self, session: Active | None) -> None:
        """To be called once a second.

        Args:
            session: None while the node is not active.
        """
        now = self._node.get_clock().now()
        message = self.message(session, now.nanoseconds)
        message.header.stamp = now.to_msg()
        self._publisher.publish(message)

    def message(self, session: Active | None, now_ns: int) -> DiagnosticArray:
        """What is published at a time of the node's clock, nanoseconds."""
        snapshot = self.statistics.snapshot()
        if session is not self._session:
            self._session, self._activated = session, self._clock()
        active_for = None if session is None else self._clock() - self._activated
        image_timeout = self._node.get_parameter("image_timeout").value  # may be set at any time
        problems = [] if session is None else session.qos_problems
        level, text = judge(snapshot, problems, active_for, image_timeout, self._fault)
        age = None if snapshot.last_stamp is None else (now_ns - snapshot.last_stamp) / 1e9
        values = {**self._setup, **figures(snapshot, age)}
        if session is not None:
            values |= {f"QoS of {topic}": state for topic, state in session.qos.items()}
        status = DiagnosticStatus(
            level=level,
            name=f"{self._node.get_fully_qualified_name()}: hands",
            message=text,
            hardware_id=self._setup.get("device", ""),
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )
        return DiagnosticArray(status=[status])


def _number(value: float | None, factor: float = 1.0) -> str:
    return "-" if value is None else f"{value * factor:.2f}"


def _digest(weights: str) -> str:
    """sha256 of the weights; read again only when the file has changed."""
    try:
        return _digest_of(weights, (Path(weights) if weights else BUNDLED_WEIGHTS).stat().st_mtime_ns)
    except OSError as error:
        return str(error)


@cache
def _digest_of(weights: str, changed: int) -> str:
    return weights_digest(weights or None)[:12]
