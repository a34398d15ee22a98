"""Image processing pipeline of the active node: subscriptions, latest-image buffer, worker thread and outputs."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import NamedTuple

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from lgnet_core.concurrency.latest_value import LatestValue
from lgnet_core.concurrency.worker import Worker
from lgnet_core.inference import OutOfMemoryError
from lgnet_core.messages.invalid_message import InvalidMessageError
from lgnet_ros import topics
from lgnet_ros.diagnostics.diagnostics import MAX_LOSS_FRACTION, describe_loss
from lgnet_ros.diagnostics.statistics import Statistics
from lgnet_ros.input.camera_info_cache import CACHE_SIZE, CameraInfoCache
from lgnet_ros.input.depth_subscriptions import DepthSubscriptions
from lgnet_ros.input.header_check import HeaderChecker
from lgnet_ros.input.subscription import QoSMatchingSubscription
from lgnet_ros.output.hands_publisher import NO_HANDS, HandsPublisher
from lgnet_ros.parameters.settings import Settings
from lgnet_ros.perception.hand_measurement import HandMeasurement
from lgnet_ros.perception.perception import Perception
from lgnet_ros.perception.tracker import Tracker
from lgnet_ros.rate_limit import RateLimiter, stamp_to_ns
from lgnet_ros.throttle import LogThrottle


class ReceivedImage(NamedTuple):
    """An image message and its time of arrival (``time.perf_counter``, seconds)."""

    message: Image | CompressedImage
    time: float


class Pipeline:
    """Processes images from activation to deactivation of the node.

    Args:
        node: owner of the subscriptions.
        tracker, publisher: used by the worker thread until :meth:`stop` has returned True.
        statistics: counters of the node, updated for each image.
        settings: returns the current parameters; called for each image.
        measurement: gets the hands of each image.
    """

    def __init__(
        self,
        node: LifecycleNode,
        tracker: Tracker,
        publisher: HandsPublisher,
        statistics: Statistics,
        settings: Callable[[], Settings],
        measurement: HandMeasurement,
    ) -> None:
        self._node = node
        self._log = node.get_logger()
        self._publisher = publisher
        self._statistics = statistics
        self._settings = settings
        self._measurement = measurement
        self._camera_infos = CameraInfoCache()
        initial = settings()
        compressed = initial.image_transport == "compressed"
        # Like image_transport: the base topic is remapped, then the transport's suffix is appended.
        image_topic = node.resolve_topic_name(topics.IMAGE) + ("/compressed" if compressed else "")
        info_topic = topics.camera_info_topic(node)
        self._image_subscription = QoSMatchingSubscription(
            node,
            CompressedImage if compressed else Image,
            image_topic,
            initial.image_qos,
            self._on_image,
            on_lost=statistics.record_lost,
        )
        self._info_subscription = QoSMatchingSubscription(
            node,
            CameraInfo,
            info_topic,
            initial.image_qos,
            self._camera_infos.put,
            on_replaced=self._forget_calibration,
            depth=CACHE_SIZE,  # they may come in batches, and are small
        )
        self._depth = DepthSubscriptions(node, initial.image_qos) if initial.use_depth else None
        depth_input = None if self._depth is None else self._depth.input
        self._perception = Perception(tracker, self._camera_infos, image_topic, info_topic, depth_input)
        self._header_checker = HeaderChecker()
        self._throttle = LogThrottle()
        self._rate_limiter = RateLimiter()
        self._latest_image: LatestValue[ReceivedImage] = LatestValue()
        self._worker = Worker(self._latest_image, self._process_image, self._on_error)
        self._last_received = time.monotonic()
        self._idle = False
        tracker.reset()

    def start(self) -> None:
        """Start the worker thread, then subscribe."""
        self._worker.start()
        self._update_subscriptions()
        self._log.info(f"Detecting hands in {self._image_subscription.topic}, using {self._info_subscription.topic}")

    def stop(self, timeout: float) -> bool:
        """Unsubscribe and wait for the current image; False if it takes longer than ``timeout`` seconds."""
        self._image_subscription.close()
        self._info_subscription.close()
        if self._depth is not None:
            self._depth.close()
        return self._worker.stop(timeout)

    def monitor(self) -> None:
        """Adapt the subscriptions to their publishers, and report problems of the topics. Call periodically."""
        self._update_subscriptions()
        for subscription in self._subscriptions:
            if problem := subscription.competing_publishers():
                self._warn(f"publishers of {subscription.topic}", problem)
        loss = self._statistics.snapshot().loss_fraction
        if loss is not None and loss > MAX_LOSS_FRACTION:
            self._log_warning("loss", describe_loss(loss))
        self._publisher.report_qos_problems()
        self._publisher.expire(self._settings().image_timeout)
        if self._depth is not None and (silence := self._depth.explain_silence(self._settings().image_timeout)):
            self._warn("depth", silence)
        elapsed = time.monotonic() - self._last_received
        if elapsed > self._settings().image_timeout:
            subscription = self._image_subscription
            self._log_warning(
                "no image",
                f"No image received for {elapsed:.1f} s on {subscription.topic}: {subscription.explain_no_messages()}",
            )

    @property
    def idle(self) -> bool:
        """Whether images are ignored, since no output has subscribers (parameter ``lazy``)."""
        return self._idle

    @property
    def qos_status(self) -> dict[str, str]:
        """Status of the subscription to each topic."""
        return {s.topic: s.status for s in self._subscriptions}

    @property
    def qos_problems(self) -> list[str]:
        """Descriptions of all endpoints whose QoS is incompatible with the node's."""
        problems = [problem for subscription in self._subscriptions for problem in subscription.qos_problems()]
        return problems + self._publisher.qos_problems()

    def _update_subscriptions(self) -> None:
        # The images last, since the executor takes ready messages in this order.
        self._info_subscription.update()
        if self._depth is not None:
            self._depth.update()
        self._image_subscription.update()
        self._statistics.set_counts_losses(self._image_subscription.counts_losses)

    @property
    def _subscriptions(self) -> tuple[QoSMatchingSubscription, ...]:
        depth = () if self._depth is None else self._depth.subscriptions
        return self._image_subscription, self._info_subscription, *depth

    def _on_image(self, message: Image | CompressedImage) -> None:
        """Hand an image to the worker. Runs in the executor, so it must not block."""
        self._last_received = time.monotonic()
        stamp_ns = stamp_to_ns(message.header.stamp)
        self._statistics.record_received()
        self._camera_infos.note_image(message.header)
        for kind, text in self._header_checker.check(message.header, self._node.get_clock().now().nanoseconds).items():
            self._warn(kind, text)
        settings = self._settings()
        requested = self._measurement.running or self._publisher.requested(settings)
        self._idle = settings.lazy and not requested
        if self._idle or not self._rate_limiter.allows(stamp_ns, settings.max_rate):
            return
        self._statistics.record_queued()
        if self._latest_image.put(ReceivedImage(message, time.perf_counter())):
            self._statistics.record_dropped()

    def _process_image(self, received: ReceivedImage) -> None:
        """Decode an image, track the hands and publish them. Runs in the worker thread."""
        started = time.perf_counter()
        settings = self._settings()
        decoded = self._perception.decode(received.message, settings)
        for kind, text in decoded.warnings.items():
            self._warn(kind, text)
        if decoded.borrowed:
            self._statistics.record_borrowed()
        if decoded.camera is None:
            self._report_uncalibrated(decoded.uncalibrated)
            if not self._publisher.overlay_requested(settings):  # the only output without a calibration
                self._measurement.add(NO_HANDS, None)
                return
        result = self._perception.process(decoded, settings)
        for kind, text in result.warnings.items():
            self._warn(kind, text)
        self._measurement.add(result.hands, result.camera, result.warnings.get("depth", ""))
        processed = time.perf_counter()
        self._publisher.publish(result, settings)
        published = time.perf_counter()
        stage_seconds = {
            "wait": started - received.time,
            **result.stage_seconds,
            "publish": published - processed,
            "total": published - received.time,
        }
        self._statistics.record_processed(stage_seconds, stamp_to_ns(result.header.stamp))

    def _on_error(self, error: Exception) -> None:
        """Log, then count an error that made the worker drop an image: whoever sees the count finds the log line."""
        if isinstance(error, InvalidMessageError):
            self._log_warning(error.key, f"Image rejected: {error}")
            self._statistics.record_rejected(error.key)
            return
        trace = "" if isinstance(error, OutOfMemoryError) else "\n" + "".join(traceback.format_exception(error))
        if self._throttle.allows(type(error).__name__):
            self._log.error(f"Failed to process image: {error}{trace}")
        self._statistics.record_failed(str(error))

    def _report_uncalibrated(self, reason: str) -> None:
        self._log_warning(reason, f"{reason}. Without calibration only {topics.OVERLAY} is published")
        self._statistics.record_uncalibrated(reason)

    def _forget_calibration(self) -> None:
        """Discard the calibration of a camera that is gone: the next one may not publish any."""
        if self._camera_infos.forget():
            self._log.warning(
                f"The publisher of {self._info_subscription.topic} is gone: images are uncalibrated until another one "
                "publishes camera_info"
            )

    def _warn(self, kind: str, text: str) -> None:
        """Report a problem that does not prevent processing in the diagnostics, and in the log."""
        self._log_warning(kind, text)
        self._statistics.record_warning(kind, text)

    def _log_warning(self, kind: str, text: str) -> None:
        """Log a warning, throttled by kind, so that none hides another."""
        if self._throttle.allows(kind):
            self._log.warning(text)
