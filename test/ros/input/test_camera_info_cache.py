"""Tests of the lookup of camera_info by the header of an image."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from lgnet_core.messages.invalid_message import InvalidMessageError
from lgnet_ros.input.camera_info_cache import CACHE_SIZE, LOOKUP_TIMEOUT, MIN_CONSTANT, CameraInfoCache

FRAME_MS = 33  # milliseconds between two images


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Timeouts of all waits, which return immediately."""
    timeouts: list[float] = []

    def wait_for(_: threading.Condition, predicate: Callable[[], bool], timeout: float) -> bool:
        if not predicate():
            timeouts.append(timeout)
        return predicate()

    monkeypatch.setattr(threading.Condition, "wait_for", wait_for)
    return timeouts


def image(index: int, frame_id: str = "camera") -> Header:
    """Header of an image of a 30 Hz camera."""
    seconds, milliseconds = divmod(index * FRAME_MS, 1000)
    return Header(stamp=Time(sec=100 + seconds, nanosec=milliseconds * 1_000_000), frame_id=frame_id)


def info(index: int, width: int = 640, frame_id: str = "camera") -> CameraInfo:
    return CameraInfo(header=image(index, frame_id), width=width)


def width(cache: CameraInfoCache, index: int, frame_id: str = "camera") -> int | None:
    """Width of the calibration that an image gets."""
    message = cache.lookup(image(index, frame_id)).info
    return None if message is None else message.width


def test_image_gets_the_message_with_its_stamp():
    """If the zoom changes, an older image that is still processed keeps its calibration."""
    cache = CameraInfoCache()
    for k in (1, 2, 3):
        cache.put(info(k, width=100 * k))
    assert [width(cache, k) for k in (2, 1, 3)] == [200, 100, 300]
    assert cache.lookup(image(1)).own


def test_lookup_waits_for_a_late_message():
    cache = CameraInfoCache()
    cache.put(info(1, width=100))
    cache.lookup(image(1))
    threading.Timer(LOOKUP_TIMEOUT / 10, cache.put, [info(2, width=200)]).start()
    assert width(cache, 2) == 200


def test_calibration_published_once_applies_to_all_images_after_one_wait(waits: list[float]):
    cache = CameraInfoCache()
    cache.put(info(0, width=320))
    assert all(width(cache, k) == 320 for k in range(1, 101))
    assert waits == [LOOKUP_TIMEOUT]
    cache.put(info(50, width=480))
    assert width(cache, 200) == 480
    assert not cache.lookup(image(201)).borrowed


@pytest.mark.parametrize("batch", [2, 5, 10])
@pytest.mark.parametrize("lookups", ["all", "every third"])
def test_varying_calibration_in_batches_is_never_taken_from_another_image(
    waits: list[float], batch: int, lookups: str
) -> None:
    """camera_info arrives several at a time, after its images; the worker does not look up images that it skips."""
    cache, own, late, count = CameraInfoCache(), 0, 0, 0
    for k in range(60):
        cache.note_image(image(k))
        if k % batch == batch - 1:
            for j in range(k - batch + 1, k + 1):
                cache.put(info(j, width=1000 + j))
        if lookups == "all" or k % 3 == 2:
            count += 1
            try:
                own += (found := width(cache, k)) == 1000 + k
                assert found in (1000 + k, None)
            except InvalidMessageError as error:
                late += error.key == "camera_late"
    assert count - own - late <= batch, "only until the first camera_info images are uncalibrated"
    assert own >= 60 // batch // 3
    assert late > 0
    assert set(waits) == {LOOKUP_TIMEOUT}


def test_late_message_is_replaced_by_an_equal_one_which_is_reported(waits: list[float]):
    """A camera whose calibration does not change is not held up by the camera_info that it loses."""
    cache = CameraInfoCache()
    for k in range(MIN_CONSTANT):
        cache.put(info(k))
        assert cache.lookup(image(k)).own
    calibration = cache.lookup(image(MIN_CONSTANT))
    assert (calibration.own, calibration.borrowed, calibration.info.width) == (False, True, 640)
    for k in range(MIN_CONSTANT + 1, 30):
        assert cache.lookup(image(k)).borrowed
    assert len(waits) == 1, "only the first missing message is waited for"


def test_message_after_the_timeout_makes_the_next_lookup_wait():
    """A camera that publishes the image first, on a temporarily busy machine."""
    cache = CameraInfoCache()
    for k in range(MIN_CONSTANT):
        cache.put(info(k))
        cache.lookup(image(k))
    assert cache.lookup(image(MIN_CONSTANT)).borrowed
    cache.put(info(MIN_CONSTANT))
    threading.Timer(LOOKUP_TIMEOUT / 10, cache.put, [info(MIN_CONSTANT + 1)]).start()
    assert cache.lookup(image(MIN_CONSTANT + 1)).own


def test_lost_message_causes_no_wait(waits: list[float]):
    """The message of a later image shows that it was lost."""
    cache = CameraInfoCache()
    for k in (1, 2, 3, 5):
        cache.put(info(k))
    assert [cache.lookup(image(k)).own for k in (1, 2, 3, 4, 5)] == [True, True, True, False, True]
    assert not waits


def test_messages_at_a_lower_rate_apply_until_the_next_one(waits: list[float]):
    """One message per ten images, with a zoom: after the first ten, the camera is known not to send one per image."""
    cache = CameraInfoCache()
    for k in range(100):
        cache.note_image(image(k))
        if k % 10 == 0:
            cache.put(info(k, width=1000 + k))
        if k > 10:
            assert width(cache, k) == 1000 + k - k % 10
    assert len(waits) <= 1


def test_empty_cache_waits_once(waits: list[float]):
    cache = CameraInfoCache()
    assert [width(cache, k) for k in range(1, 10)] == [None] * 9
    assert len(waits) == 1


def test_calibration_of_another_frame_is_not_used(waits: list[float]):
    cache = CameraInfoCache()
    for k in range(5):
        cache.put(info(k, width=100, frame_id="left"))
        assert width(cache, k, "left") == 100
    calibration = cache.lookup(image(5, "right"))
    assert (calibration.info, calibration.other_frames) == (None, ("left",))
    cache.put(info(5, width=200, frame_id="right"))
    assert (width(cache, 5, "right"), width(cache, 4, "left")) == (200, 100)


def test_synchronised_cameras_on_one_topic_keep_their_own_calibrations():
    cache = CameraInfoCache()
    for k in range(10):
        cache.put(info(k, width=100, frame_id="left"))
        cache.put(info(k, width=200, frame_id="right"))
        assert (width(cache, k, "left"), width(cache, k, "right")) == (100, 200)


@pytest.mark.parametrize(("of_info", "of_image"), [("", "camera"), ("camera", ""), ("", "")])
def test_empty_frame_ids_fit_every_camera(of_info: str, of_image: str):
    """A calibration published by hand."""
    cache = CameraInfoCache()
    cache.put(info(1, width=320, frame_id=of_info))
    assert width(cache, 1, of_image) == 320


def test_forgotten_calibration_is_not_used_any_more(waits: list[float]):
    cache = CameraInfoCache()
    assert not cache.forget()
    cache.put(info(1))
    assert cache.forget()
    assert width(cache, 1) is None


def test_latest_message_is_the_last_received(waits: list[float]):
    """After a backward clock jump, the latest message has an older stamp."""
    cache = CameraInfoCache()
    for k in range(1000, 1000 + 2 * CACHE_SIZE):
        cache.put(info(k, width=1))
    cache.put(info(5, width=2))
    assert width(cache, 5) == 2
