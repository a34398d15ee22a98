"""Perception of one image: decoding, camera model and hand tracking. Runs in the worker thread."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from lgnet_core.inference import OutOfMemoryError
from lgnet_core.types import Camera, ImageArray, TwoHands
from lgnet_ros.input.camera_info import CameraConverter
from lgnet_ros.input.camera_info_cache import CameraInfoCache
from lgnet_ros.input.decode import decode_image
from lgnet_ros.parameters import Settings
from lgnet_ros.rate_limit import stamp_to_ns
from lgnet_ros.tracker import Tracker, configure_tracker


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """An image and its camera, before inference.

    Args:
        header: of the image message.
        image: (H, W, 3) uint8 RGB; read-only.
        camera: None if the camera is not calibrated.
        has_camera_info: whether any camera_info was received; with ``camera`` None, it contains no calibration.
        stage_seconds: duration of each processing stage.
    """

    header: Header
    image: ImageArray
    camera: Camera | None
    has_camera_info: bool
    stage_seconds: dict[str, float]


@dataclass(frozen=True, eq=False)
class PerceptionResult:
    """The hands in one image.

    Args:
        header: of the image message.
        image: (H, W, 3) uint8 RGB; read-only.
        camera: None if the camera is not calibrated; the hands are then not metric.
        stage_seconds: duration of each processing stage.
    """

    header: Header
    image: ImageArray
    camera: Camera | None
    hands: TwoHands
    stage_seconds: dict[str, float]


class Perception:
    """Estimates the hands in image messages.

    Args:
        camera_infos: source of the images' calibration.
        image_topic: resolved name, which tells whether images are rectified, see
            :func:`lgnet_ros.input.camera_info.is_rectified`.
    """

    def __init__(self, tracker: Tracker, camera_infos: CameraInfoCache, image_topic: str) -> None:
        self.tracker = tracker
        self._camera_infos = camera_infos
        self._camera_converter = CameraConverter(image_topic)
        self._applied_settings: Settings | None = None

    def decode(self, message: Image | CompressedImage, settings: Settings) -> DecodedImage:
        """Decode an image message and look up its camera.

        Raises:
            InvalidMessageError: the image or its calibration cannot be used.
        """
        start = time.perf_counter()
        image = decode_image(message)
        height, width = image.shape[:2]
        decoded = time.perf_counter()
        info = self._camera_infos.lookup(message.header.stamp)
        camera = None
        if info is not None:
            camera = self._camera_converter.convert(info, width, height, settings.camera_model)
        stage_seconds = {"decode": decoded - start, "calibration": time.perf_counter() - decoded}
        return DecodedImage(message.header, image, camera, info is not None, stage_seconds)

    def process(self, decoded: DecodedImage, settings: Settings) -> PerceptionResult:
        """Track the hands in a decoded image.

        Raises:
            OutOfMemoryError: the device's memory is full even after freeing caches.
            Exception: whatever the network raises.
        """
        if settings is not self._applied_settings:
            configure_tracker(self.tracker, settings)
            self._applied_settings = settings
        hands = self._track(decoded.image, decoded.camera, stamp_to_ns(decoded.header.stamp))
        stage_seconds = {**decoded.stage_seconds, **self.tracker.last_stages}
        return PerceptionResult(decoded.header, decoded.image, decoded.camera, hands, stage_seconds)

    def _track(self, image: ImageArray, camera: Camera | None, stamp_ns: int) -> TwoHands:
        try:
            return self.tracker.update(image, camera, stamp_ns)
        except OutOfMemoryError:
            self.tracker.estimator.free_memory()
            self.tracker.reset()
            return self.tracker.update(image, camera, stamp_ns)
