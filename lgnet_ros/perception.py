"""One image through everything: message, calibration, hands. Runs in the worker's thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image

from lgnet_core.inference import HandEstimator, HandTracker, OutOfMemoryError, Smoothing
from lgnet_core.types import Camera, FloatArray, TwoHands
from lgnet_ros.input.camera_info import CameraReader
from lgnet_ros.input.camera_info_cache import CameraInfoCache
from lgnet_ros.input.intake import decode_image
from lgnet_ros.parameters import Settings


class Tracker(Protocol):
    """What the node needs of :class:`lgnet_core.inference.tracking.tracker.HandTracker`; tests have smaller ones."""

    estimator: HandEstimator
    smoothing: Smoothing | None
    detection_interval: int
    max_gap: float
    last_stages: dict[str, float]

    def update(self, image: FloatArray, camera: Camera | None, stamp_ns: int) -> TwoHands: ...

    def reset(self) -> None: ...


TrackerFactory = Callable[[Settings], Tracker]


def load_tracker(settings: Settings) -> HandTracker:
    """The network and the tracker over it, as the parameters ask for.

    Raises:
        ValueError, RuntimeError, ImportError, OSError: with the cure, from the part that failed.
    """
    estimator = HandEstimator.load(
        settings.weights or None,
        settings.device,
        settings.hand_model or None,
        settings.engine,
        presence_threshold=settings.presence_threshold,
        hand_length=settings.hand_length or None,
        threads=settings.threads or None,
    )
    return HandTracker(estimator)


def tune(tracker: Tracker, settings: Settings) -> None:
    """Give a tracker those parameters that can be set while it runs."""
    tracker.estimator.presence_threshold = settings.presence_threshold
    tracker.detection_interval = settings.detection_interval
    tracker.max_gap = settings.tracking_max_gap
    tracker.smoothing = (
        Smoothing(min_cutoff=settings.smoothing_min_cutoff, beta=settings.smoothing_beta)
        if settings.smoothing
        else None
    )


@dataclass(frozen=True, eq=False)
class PerceptionResult:
    """One image and what is in it.

    Args:
        message: as it came.
        image: (H, W, 3) uint8 RGB; not to be written to.
        camera: None for a camera that is not calibrated; the hands are not metric then.
        seconds: of each stage.
    """

    message: Image | CompressedImage
    image: FloatArray
    camera: Camera | None
    hands: TwoHands
    seconds: dict[str, float]


class Perception:
    """Messages to hands.

    Args:
        calibrations: where the images' camera_info is found.
        image_topic: resolved; its name tells rectified images.
        wanted_without_camera: whether anybody wants hands that are not metric.
        uncalibrated: called where an image has no calibration; True if a camera_info came that holds none.
    """

    def __init__(
        self,
        tracker: Tracker,
        calibrations: CameraInfoCache,
        image_topic: str,
        wanted_without_camera: Callable[[], bool],
        uncalibrated: Callable[[bool], None],
    ) -> None:
        self.tracker = tracker
        self._calibrations = calibrations
        self._cameras = CameraReader(image_topic)
        self._wanted_without_camera = wanted_without_camera
        self._uncalibrated = uncalibrated
        self._tuned: Settings | None = None

    def look(self, message: Image | CompressedImage, settings: Settings) -> PerceptionResult | None:
        """The hands of an image; None for an uncalibrated one that nobody wants to see.

        Raises:
            InvalidMessageError: if the image or its calibration cannot be used.
            OutOfMemoryError: if the device's memory is full even after freeing what is not needed.
            Exception: whatever goes wrong in the network.
        """
        start = time.perf_counter()
        image = decode_image(message)
        height, width = image.shape[:2]
        decoded = time.perf_counter()
        info = self._calibrations.find(message.header.stamp)
        camera = None
        if info is not None:
            camera = self._cameras.read(info, width, height, settings.camera_model)
        if camera is None:
            self._uncalibrated(info is not None)
            if not self._wanted_without_camera():
                return None
        calibrated = time.perf_counter()
        if settings is not self._tuned:
            tune(self.tracker, settings)
            self._tuned = settings
        hands = self._track(image, camera, nanoseconds(message.header.stamp))
        stages = {"decode": decoded - start, "calibration": calibrated - decoded, **self.tracker.last_stages}
        return PerceptionResult(message, image, camera, hands, stages)

    def _track(self, image: FloatArray, camera: Camera | None, stamp_ns: int) -> TwoHands:
        try:
            return self.tracker.update(image, camera, stamp_ns)
        except OutOfMemoryError:
            self.tracker.estimator.free_memory()
            self.tracker.reset()
            return self.tracker.update(image, camera, stamp_ns)


class RateLimit:
    """Lets through what comes at no more than a given rate, by stamps, or where these stand still, by a clock.

    Args:
        clock: nanoseconds, never set back.
    """

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._next = 0
        self._last_stamp: int | None = None

    def allows(self, stamp_ns: int, rate: float) -> bool:
        """True if the image with this stamp is due. ``rate`` in Hz; 0: every image is.

        An image that comes a little early is due too, as cameras jitter, and on average the rate is held.
        """
        stands, self._last_stamp = stamp_ns == self._last_stamp, stamp_ns
        if rate <= 0:
            return True
        now = self._clock() if stands else stamp_ns
        period = round(1e9 / rate)
        if not self._next - 2 * period < now < self._next + 2 * period:  # the first one, a pause or a jump
            self._next = now
        if now < self._next - period // 10:
            return False
        self._next += period
        return True


def nanoseconds(stamp: Time) -> int:
    """A message's stamp as one number."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
