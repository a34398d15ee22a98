"""All that lives while the node is active: subscriptions, mailbox, worker, and the way of an image through them."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import NamedTuple

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from lgnet_core.inference import OutOfMemoryError
from lgnet_ros import topics
from lgnet_ros.input.camera_info_cache import CameraInfoCache
from lgnet_ros.input.invalid_message import InvalidMessageError
from lgnet_ros.input.latest import LatestValue
from lgnet_ros.input.subscription import MatchedSubscription
from lgnet_ros.output.publishers import Publishers
from lgnet_ros.parameters import Settings
from lgnet_ros.perception import Perception, RateLimit, Tracker, nanoseconds
from lgnet_ros.statistics import Statistics
from lgnet_ros.throttle import WARN_SECONDS
from lgnet_ros.worker import Worker


class ReceivedImage(NamedTuple):
    """An image's message, and when it came (``time.perf_counter``)."""

    message: Image | CompressedImage
    time: float


class Pipeline:
    """From activation to deactivation.

    Args:
        node: whose subscriptions they are.
        tracker, publishers: used by the worker's thread until :meth:`stop` has returned True.
        statistics: of the node; counts everything that happens to an image.
        settings: the parameters as they are now; asked anew for each image.
    """

    def __init__(
        self,
        node: LifecycleNode,
        tracker: Tracker,
        publishers: Publishers,
        statistics: Statistics,
        settings: Callable[[], Settings],
    ) -> None:
        self._node = node
        self._log = node.get_logger()
        self._publishers = publishers
        self._statistics = statistics
        self._settings = settings
        self._calibrations = CameraInfoCache()
        fixed = settings()
        compressed = fixed.image_transport == "compressed"
        # As image_transport does it: the base name is remapped, the transport's is put behind it.
        image_topic = node.resolve_topic_name(topics.IMAGE) + ("/compressed" if compressed else "")
        info_topic = node.resolve_topic_name(topics.CAMERA_INFO)
        self._images = MatchedSubscription(
            node, CompressedImage if compressed else Image, image_topic, fixed.image_qos, self._on_image
        )
        self._infos = MatchedSubscription(node, CameraInfo, info_topic, fixed.image_qos, self._calibrations.put)
        self._perception = Perception(
            tracker, self._calibrations, image_topic, self._wants_overlay, self._on_uncalibrated
        )
        self._limit = RateLimit()
        self._mailbox: LatestValue[ReceivedImage] = LatestValue()
        self._worker = Worker(self._mailbox, self._work, self._on_failure)
        self._last_heard = time.monotonic()
        tracker.reset()

    def start(self) -> None:
        """Start looking, then subscribe."""
        self._worker.start()
        self._match()
        self._log.info(f"looking for hands in {self._images.topic}, calibrated by {self._infos.topic}")

    def stop(self, timeout: float) -> bool:
        """Unsubscribe and let the image at work end; False if it does not within ``timeout`` seconds."""
        self._images.close()
        self._infos.close()
        return self._worker.stop(timeout)

    def watch(self) -> None:
        """To be called now and then: keep to what is published, and speak up when messages do not come or cannot go."""
        self._match()
        self._publishers.watch()
        silent = time.monotonic() - self._last_heard
        if silent > self._settings().image_timeout:
            self._log.warning(
                f"no image for {silent:.0f} s\n{self._images.explain_silence()}", throttle_duration_sec=WARN_SECONDS
            )

    @property
    def qos(self) -> dict[str, str]:
        """Each topic that is subscribed to, and how."""
        return {subscription.topic: subscription.state for subscription in (self._images, self._infos)}

    @property
    def qos_problems(self) -> list[str]:
        """Publishers that cannot be heard, subscribers that cannot hear."""
        subscriptions = (self._images, self._infos)
        return [*(p for subscription in subscriptions for p in subscription.problems()), *self._publishers.problems()]

    def _match(self) -> None:
        self._infos.match()  # first, as the executor takes what is ready in this order
        self._images.match()

    def _on_image(self, message: Image | CompressedImage) -> None:
        """In the executor, which must not wait: leave the image for the worker."""
        self._last_heard = time.monotonic()
        stamp_ns = nanoseconds(message.header.stamp)
        self._statistics.received(stamp_ns)
        if not self._limit.allows(stamp_ns, self._settings().max_rate):
            return
        self._statistics.waits()
        if self._mailbox.put(ReceivedImage(message, time.perf_counter())):
            self._statistics.dropped()

    def _work(self, arrival: ReceivedImage) -> None:
        """In the worker's thread: one image from message to messages."""
        taken = time.perf_counter()
        settings = self._settings()
        seen = self._perception.look(arrival.message, settings)
        if seen is None:
            return
        looked = time.perf_counter()
        self._publishers.publish(seen, settings)
        done = time.perf_counter()
        seconds = {"wait": taken - arrival.time, **seen.seconds, "publish": done - looked, "total": done - arrival.time}
        self._statistics.processed(seconds, nanoseconds(arrival.message.header.stamp))

    def _on_failure(self, error: Exception) -> None:
        """An image is lost, the next one is not."""
        if isinstance(error, InvalidMessageError):
            self._statistics.rejected(error.key)
            self._log.warning(f"image rejected: {error}", throttle_duration_sec=WARN_SECONDS)
            return
        self._statistics.failed(str(error))
        trace = "" if isinstance(error, OutOfMemoryError) else "\n" + "".join(traceback.format_exception(error))
        self._log.error(f"image lost: {error}{trace}", throttle_duration_sec=WARN_SECONDS)

    def _wants_overlay(self) -> bool:
        return self._publishers.overlay_wanted(self._settings())

    def _on_uncalibrated(self, heard: bool) -> None:
        self._statistics.uncalibrated()
        reason = (
            "says that the camera is not calibrated (K is zero): calibrate it (camera_calibration)"
            if heard
            else "has brought nothing yet: publish it, or remap camera_info to where it is"
        )
        self._log.warning(
            f"{self._infos.topic} {reason}. Until then hands have no place in space and nothing but "
            f"{topics.OVERLAY} is published",
            throttle_duration_sec=WARN_SECONDS,
        )
