"""Tests of the processing of single images: calibration, settings, memory exhaustion."""

from __future__ import annotations

import array
import re

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image
from support.fixed_hands import FixedTracker

from lgnet_core.inference import OutOfMemoryError
from lgnet_core.messages.invalid_message import InvalidMessageError
from lgnet_ros.input.camera_info_cache import CameraInfoCache
from lgnet_ros.parameters.settings import Settings
from lgnet_ros.perception.perception import Perception, PerceptionResult

K = [50.0, 0.0, 31.5, 0.0, 50.0, 23.5, 0.0, 0.0, 1.0]


def image_message(value: int = 255, frame_id: str = "camera") -> Image:
    """Image with a constant pixel value, see :class:`support.fixed_hands.FixedTracker`."""
    message = Image(width=64, height=48, step=192, encoding="rgb8", data=array.array("B", bytes([value]) * 9216))
    message.header.frame_id = frame_id
    message.header.stamp.sec = 7
    return message


def camera_info(k: list[float] = K, width: int = 64, frame_id: str = "camera", stamp: int = 7) -> CameraInfo:
    message = CameraInfo(width=width, height=48, k=k)
    message.header.frame_id = frame_id
    message.header.stamp.sec = stamp
    return message


def create_perception(*camera_infos: CameraInfo) -> Perception:
    cache = CameraInfoCache()
    for message in camera_infos:
        cache.put(message)
    return Perception(FixedTracker(), cache, "/image", "/camera_info")


def process(perception: Perception, message: Image, **parameters: object) -> PerceptionResult:
    settings = Settings(**parameters)
    return perception.process(perception.decode(message, settings), settings)


def test_calibrated_image_gives_metric_hands():
    result = process(create_perception(camera_info()), image_message())
    assert result.hands.metric
    assert result.header == image_message().header
    assert result.image.shape == (48, 64, 3)
    np.testing.assert_array_equal(result.camera.matrix.ravel(), K)
    assert set(result.stage_seconds) == {"decode", "calibration", "network"}


@pytest.mark.parametrize(
    ("camera_infos", "reason"),
    [
        ([], "No camera_info received on /camera_info"),
        ([camera_info([0.0] * 9)], "K is zero in /camera_info"),
        ([camera_info(frame_id="other")], "/camera_info has frame_id 'other', but the image 'camera'"),
        ([camera_info(width=128, stamp=1)], "another camera or resolution.*128x48.*64x48"),
    ],
)
def test_uncalibrated_image_gives_hands_without_scale_and_the_reason(camera_infos, reason):
    """Without camera_info, with one whose K is zero, or with that of a camera that was there before."""
    perception = create_perception(*camera_infos)
    decoded = perception.decode(image_message(), Settings())
    assert decoded.camera is None
    assert re.search(reason, decoded.uncalibrated)
    assert not perception.process(decoded, Settings()).hands.metric


def test_calibration_of_different_size_is_rejected():
    with pytest.raises(InvalidMessageError, match=r"128x48.*64x48"):
        create_perception(camera_info(width=128)).decode(image_message(), Settings())


def test_implausible_calibration_is_used_with_a_warning():
    """K scaled six times."""
    decoded = create_perception(camera_info([6 * value for value in K[:8]] + [1.0])).decode(image_message(), Settings())
    assert decoded.camera is not None
    assert "outside of the 64x48 image" in decoded.warnings["camera_implausible"]
    assert create_perception(camera_info()).decode(image_message(), Settings()).warnings == {}


def test_region_of_interest_is_not_implausible():
    """The principal point of a corner of the sensor is outside of the image."""
    info = camera_info([500.0, 0.0, 319.5, 0.0, 500.0, 239.5, 0.0, 0.0, 1.0], width=640)
    info.height = 480
    info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = 512, 384, 128, 96
    info.binning_x = info.binning_y = 2
    decoded = create_perception(info).decode(image_message(), Settings())
    assert decoded.camera.matrix[0, 2] < 0
    assert decoded.warnings == {}


def test_new_frame_id_starts_afresh():
    """Two cameras on one topic must not continue each other's tracks."""
    perception = create_perception(camera_info(frame_id=""))
    for frame_id in ("left", "left", "right", "right", "left"):
        process(perception, image_message(frame_id=frame_id))
    assert perception.tracker.resets == 2


def test_out_of_memory_frees_caches_and_retries_once():
    perception = create_perception(camera_info())
    tracker = perception.tracker
    assert process(perception, image_message(value=2)).hands.first.right is not None
    assert (tracker.estimator.freed, tracker.resets) == (1, 1)
    with pytest.raises(OutOfMemoryError):
        process(perception, image_message(value=3))
    assert tracker.estimator.freed == 2, "once per image"


def test_changed_settings_apply_to_the_next_image():
    perception = create_perception(camera_info())
    process(perception, image_message(), presence_threshold=0.3)
    assert perception.tracker.estimator.thresholds.presence == 0.3
    process(perception, image_message(), presence_threshold=0.6)
    assert perception.tracker.estimator.thresholds.presence == 0.6
