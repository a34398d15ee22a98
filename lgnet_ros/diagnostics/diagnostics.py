"""Diagnostics of the node on ``/diagnostics``: level, reasons and statistics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from lgnet_core.io.checkpoint_files import BUNDLED_WEIGHTS, weights_digest
from lgnet_core.io.output import explain
from lgnet_ros import topics
from lgnet_ros.diagnostics.statistics import WINDOW_SECONDS, Snapshot, Statistics
from lgnet_ros.parameters.settings import Settings
from lgnet_ros.qos import diagnostics_profile, output_overrides

if TYPE_CHECKING:
    from rclpy.node import Node

    from lgnet_core.inference import HandEstimator

MAX_LOSS_FRACTION = 0.1  # of images lost in transport; more is a warning

_SEVERITY = (DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.STALE, DiagnosticStatus.ERROR)
"""From best to worst."""


class QoSStatus(Protocol):
    """State of the active node's endpoints, as provided by :class:`lgnet_ros.pipeline.Pipeline`."""

    @property
    def idle(self) -> bool:
        """Whether images are ignored, since no output has subscribers."""

    @property
    def qos_status(self) -> Mapping[str, str]:
        """Status of the subscription to each topic."""

    @property
    def qos_problems(self) -> list[str]:
        """Descriptions of all endpoints whose QoS is incompatible with the node's."""


def evaluate(
    snapshot: Snapshot,
    qos_problems: Iterable[str],
    active_for: float | None,
    image_timeout: float,
    fault: str = "",
    idle: bool = False,
) -> tuple[bytes, str]:
    """Determine the diagnostic level and message.

    Dropped images are not a problem: a network slower than the camera processes the latest image and skips the others.

    Args:
        qos_problems: one description per incompatible endpoint.
        active_for: seconds since activation; None if the node is not active.
        image_timeout: maximum time without receiving, or without completing, an image, seconds.
        fault: of the node as a whole, such as a failed transition.
        idle: images are ignored, since no output has subscribers.

    Returns:
        The worst applicable level of DiagnosticStatus, and all reasons, the worst first.
    """
    reasons: list[tuple[bytes, str]] = []
    if fault:
        reasons.append((DiagnosticStatus.ERROR, fault))
    if active_for is None:
        reasons.append((DiagnosticStatus.OK, "Node is not active"))
    else:
        reasons += _recent_problems(snapshot)
        reasons += [(DiagnosticStatus.WARN, problem) for problem in qos_problems]
        last_received = snapshot.time_since_received
        elapsed = active_for if last_received is None else min(active_for, last_received)
        if elapsed > image_timeout:
            reasons.append((DiagnosticStatus.STALE, f"No image received for {elapsed:.1f} s"))
        elif elapsed == active_for:  # none since activation
            reasons.append((DiagnosticStatus.WARN, "Waiting for the first image"))
        elif snapshot.pending_time is not None and (pending := min(active_for, snapshot.pending_time)) > image_timeout:
            reasons.append((DiagnosticStatus.ERROR, f"Images are received, but none was processed for {pending:.1f} s"))
    if not reasons and idle:
        reasons.append((DiagnosticStatus.OK, "Idle: no output has subscribers (parameter lazy)"))
    elif not reasons:
        reasons.append((DiagnosticStatus.OK, f"Publishing hands at {snapshot.processed_rate:.1f} Hz"))
    reasons.sort(key=lambda reason: -_SEVERITY.index(reason[0]))
    return reasons[0][0], "; ".join(text for _, text in reasons)


def _recent_problems(snapshot: Snapshot) -> list[tuple[bytes, str]]:
    """Problems in the statistics' window: levels and descriptions."""
    window = f"in the last {WINDOW_SECONDS:g} s"
    problems = []
    if snapshot.recent_failed:
        text = f"Processing of {snapshot.recent_failed} image(s) failed {window}, last error: {snapshot.last_error}"
        problems.append((DiagnosticStatus.ERROR, text))
    if snapshot.recent_rejected:
        text = f"Invalid messages rejected {window}: {_format_counts(snapshot.recent_rejected)}"
        problems.append((DiagnosticStatus.WARN, text))
    if snapshot.recent_uncalibrated:
        text = f"Uncalibrated, metric outputs are not published: {snapshot.uncalibrated_reason}"
        problems.append((DiagnosticStatus.WARN, text))
    if snapshot.loss_fraction is not None and snapshot.loss_fraction > MAX_LOSS_FRACTION:
        problems.append((DiagnosticStatus.WARN, describe_loss(snapshot.loss_fraction)))
    return problems + [(DiagnosticStatus.WARN, text) for text in snapshot.recent_warnings.values()]


def describe_loss(fraction: float) -> str:
    """Text for a fraction of images lost in transport, with the remedy."""
    return (
        f"{fraction:.0%} of the images are lost in transport; publish them with reliable QoS, and start the camera "
        "driver with the larger shared memory segment of config/fastdds.xml (FASTDDS_DEFAULT_PROFILES_FILE)"
    )


def to_values(snapshot: Snapshot, stamp_age: float | None) -> dict[str, str]:
    """Format the statistics as key-value pairs with units in the keys.

    Args:
        stamp_age: seconds since the stamp of the last processed image, in the node's clock.
    """
    values = {
        "images received": str(snapshot.received),
        "images processed": str(snapshot.processed),
        "images dropped": str(snapshot.dropped),
        "images failed": str(snapshot.failed),
        "images without calibration": str(snapshot.uncalibrated),
        "images with the calibration of another image": str(snapshot.borrowed),
        "messages rejected": _format_counts(snapshot.rejected) or "0",
        "image rate (Hz)": f"{snapshot.received_rate:.1f}",
        "publishing rate (Hz)": f"{snapshot.processed_rate:.1f}",
        "images lost in transport": "unknown" if snapshot.lost is None else str(snapshot.lost),
        "images lost in transport (%)": "unknown" if snapshot.lost is None else _format(snapshot.loss_fraction, 100),
        "time since last image received (s)": _format(snapshot.time_since_received),
        "time since last image processed (s)": _format(snapshot.time_since_processed),
        "age of last image stamp (s)": _format(stamp_age),
    }
    for stage, (median, p95) in snapshot.latency.items():
        values[f"latency of {stage}, p50 (ms)"] = _format(median, 1e3)
        values[f"latency of {stage}, p95 (ms)"] = _format(p95, 1e3)
    return values


class Diagnostics:
    """Publishes the diagnostics of the node in every lifecycle state.

    Args:
        node: its parameters must have been declared.
        clock: monotonic time, seconds.
    """

    def __init__(self, node: Node, clock: Callable[[], float] = time.monotonic) -> None:
        self.statistics = Statistics(clock)
        self._node = node
        self._clock = clock
        self._publisher = node.create_publisher(
            DiagnosticArray, topics.DIAGNOSTICS, diagnostics_profile(), qos_overriding_options=output_overrides()
        )
        self._fault = ""
        self._configuration: dict[str, str] = {}
        self._pipeline: QoSStatus | None = None
        self._activation_time = 0.0

    def reset(self) -> None:
        """Clear statistics, fault and configuration before the node is configured."""
        self.statistics.reset()
        self._fault, self._configuration = "", {}

    def set_fault(self, text: str) -> None:
        """Report an ERROR until :meth:`reset`."""
        self._fault = text

    def set_configuration(self, settings: Settings, estimator: HandEstimator) -> None:
        """Set the key-value pairs that describe the node's configuration."""
        engine = estimator.engines["hands"]  # all engines are of one kind and on one device
        self._configuration = {
            "device": engine.device,
            "engine": f"{engine.name}, {engine.precision}",
            "weights": settings.weights or "bundled",
            "weights (sha256)": _weights_sha256(settings.weights),
            "hand model": settings.hand_model or "bundled",
            "hand model (digest)": estimator.hand_model.digest,
        }

    def publish(self, pipeline: QoSStatus | None) -> None:
        """Publish the diagnostics. Call once per second.

        Args:
            pipeline: None while the node is not active.
        """
        now = self._node.get_clock().now()
        message = self.create_message(pipeline, now.nanoseconds)
        message.header.stamp = now.to_msg()
        self._publisher.publish(message)

    def create_message(self, pipeline: QoSStatus | None, now_ns: int) -> DiagnosticArray:
        """Create the message; ``now_ns``: current time of the node's clock, nanoseconds."""
        snapshot = self.statistics.snapshot()
        if pipeline is not self._pipeline:
            self._pipeline, self._activation_time = pipeline, self._clock()
        active_for = None if pipeline is None else self._clock() - self._activation_time
        image_timeout = self._node.get_parameter("image_timeout").value  # can be changed at run time
        qos_problems = [] if pipeline is None else pipeline.qos_problems
        idle = pipeline is not None and pipeline.idle
        level, text = evaluate(snapshot, qos_problems, active_for, image_timeout, self._fault, idle)
        stamp_age = None if snapshot.last_stamp is None else (now_ns - snapshot.last_stamp) / 1e9
        values = {**self._configuration, **to_values(snapshot, stamp_age)}
        if pipeline is not None:
            values |= {f"QoS of {topic}": status for topic, status in pipeline.qos_status.items()}
        status = DiagnosticStatus(
            level=level,
            name=f"{self._node.get_fully_qualified_name()}: hands",
            message=text,
            hardware_id=self._configuration.get("device", ""),
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )
        return DiagnosticArray(status=[status])


def _format(value: float | None, factor: float = 1.0) -> str:
    return "-" if value is None else f"{value * factor:.2f}"


def _format_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{key} {count}" for key, count in sorted(counts.items()))


def _weights_sha256(weights: str) -> str:
    """First digits of the SHA-256 of the weights, cached until the file changes; on failure, the error message."""
    try:
        return _cached_sha256(weights, (Path(weights) if weights else BUNDLED_WEIGHTS).stat().st_mtime_ns)
    except OSError as error:
        return explain(error)


@cache
def _cached_sha256(weights: str, modified_ns: int) -> str:
    return weights_digest(weights or None)[:12]
