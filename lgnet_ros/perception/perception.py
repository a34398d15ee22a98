"""Perception of one image: decoding, camera model and hand tracking. Runs in the worker thread."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from lgnet_core.inference import DepthSource, OutOfMemoryError
from lgnet_core.messages.camera_info import CameraConverter
from lgnet_core.messages.invalid_message import InvalidMessageError
from lgnet_core.types import Camera, DepthMap, ImageArray, ImageHands
from lgnet_ros import topics
from lgnet_ros.input.camera_info_cache import Calibration, CameraInfoCache
from lgnet_ros.input.decode import decode_image
from lgnet_ros.input.depth import DepthInput
from lgnet_ros.parameters.settings import Settings
from lgnet_ros.perception.tracker import Tracker, configure_tracker
from lgnet_ros.rate_limit import stamp_to_ns


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """An image and its camera, before inference.

    Args:
        header: of the image message.
        image: (H, W, 3) uint8 RGB; read-only.
        camera: None if the camera is not calibrated.
        uncalibrated: why ``camera`` is None, with the remedy; empty if it is not.
        borrowed: whether the calibration is another image's.
        warnings: problems of the calibration that do not prevent its use: kind and text.
        stage_seconds: duration of each processing stage.
    """

    header: Header
    image: ImageArray
    camera: Camera | None
    uncalibrated: str
    borrowed: bool
    warnings: Mapping[str, str]
    stage_seconds: dict[str, float]


@dataclass(frozen=True, eq=False)
class PerceptionResult:
    """The hands in one image.

    Args:
        header: of the image message.
        image: (H, W, 3) uint8 RGB; read-only.
        camera: None if the camera is not calibrated; the hands are then not metric.
        stage_seconds: duration of each processing stage.
        warnings: problems of the depth images, without which the hands were estimated: kind and text.
    """

    header: Header
    image: ImageArray
    camera: Camera | None
    hands: ImageHands
    stage_seconds: dict[str, float]
    warnings: Mapping[str, str] = field(default_factory=dict)


class Perception:
    """Estimates the hands in image messages.

    Args:
        camera_infos: source of the images' calibration.
        image_topic: resolved name, from which follows whether images are rectified, see
            :func:`lgnet_core.messages.camera_info.is_rectified`.
        info_topic: resolved name of the topic of ``camera_infos``.
        depth: source of the images' depth; None: not used.
    """

    def __init__(
        self,
        tracker: Tracker,
        camera_infos: CameraInfoCache,
        image_topic: str,
        info_topic: str = topics.CAMERA_INFO,
        depth: DepthInput | None = None,
    ) -> None:
        self.tracker = tracker
        self._depth = depth
        self._camera_infos = camera_infos
        self._camera_converter = CameraConverter(image_topic)
        self._info_topic = info_topic
        self._frame_id: str | None = None
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
        calibration = self._camera_infos.lookup(message.header)
        camera, uncalibrated = self._convert(calibration, message.header, width, height, settings)
        warnings = {}
        if camera is not None and self._camera_converter.warning:
            warnings["camera_implausible"] = self._camera_converter.warning
        stage_seconds = {"decode": decoded - start, "calibration": time.perf_counter() - decoded}
        return DecodedImage(message.header, image, camera, uncalibrated, calibration.borrowed, warnings, stage_seconds)

    def process(self, decoded: DecodedImage, settings: Settings) -> PerceptionResult:
        """Track the hands in a decoded image.

        Raises:
            OutOfMemoryError: the device's memory is full even after freeing caches.
            Exception: whatever the network raises.
        """
        if decoded.header.frame_id != self._frame_id:  # another camera: its hands do not continue the tracks
            if self._frame_id is not None:
                self.tracker.reset()
            self._frame_id = decoded.header.frame_id
        if settings is not self._applied_settings:
            configure_tracker(self.tracker, settings)
            self._applied_settings = settings
        warnings: dict[str, str] = {}
        hands = self._track(decoded, self._depth_source(decoded, settings, warnings))
        stage_seconds = {**decoded.stage_seconds, **self.tracker.last_stages}
        return PerceptionResult(decoded.header, decoded.image, decoded.camera, hands, stage_seconds, warnings)

    def _convert(
        self, calibration: Calibration, header: Header, width: int, height: int, settings: Settings
    ) -> tuple[Camera | None, str]:
        """The camera, or None and why there is none."""
        topic, info = self._info_topic, calibration.info
        if info is None and calibration.other_frames:
            frames = ", ".join(repr(frame) for frame in calibration.other_frames)
            return None, (
                f"Camera is not calibrated: {topic} has frame_id {frames}, but the image {header.frame_id!r}, so it "
                "belongs to another camera; remap camera_info, or let the driver use one frame_id for both"
            )
        if info is None:
            return None, f"No camera_info received on {topic}; publish the calibration, or remap camera_info"
        try:
            camera = self._camera_converter.convert(info, width, height, settings.camera_model)
        except InvalidMessageError as error:
            if error.key != "camera_size" or calibration.own:
                raise
            return None, f"Camera is not calibrated: {topic} belongs to another camera or resolution: {error}"
        if camera is None:
            return None, f"Camera is not calibrated (K is zero in {topic}); calibrate it with camera_calibration"
        return camera, ""

    def _depth_source(self, decoded: DecodedImage, settings: Settings, warnings: dict[str, str]) -> DepthSource | None:
        """Looks up the depth map when the tracker needs it; a problem is added to ``warnings``."""
        depth, camera = self._depth, decoded.camera
        if depth is None or camera is None:
            return None

        def lookup() -> DepthMap | None:
            depth_map = depth.lookup(decoded.header, camera, settings.depth_max_age)
            if depth.problem:
                warnings["depth"] = depth.problem
            return depth_map

        return lookup

    def _track(self, decoded: DecodedImage, depth: DepthSource | None) -> ImageHands:
        arguments = decoded.image, decoded.camera, stamp_to_ns(decoded.header.stamp), depth
        try:
            return self.tracker.update_people(*arguments)
        except OutOfMemoryError:
            self.tracker.estimator.free_memory()
            self.tracker.reset()
            return self.tracker.update_people(*arguments)
