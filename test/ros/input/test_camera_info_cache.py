"""Tests of the lookup of camera_info by the stamp of an image."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo

from lgnet_ros.input.camera_info_cache import CACHE_SIZE, LOOKUP_TIMEOUT, CameraInfoCache


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


def stamp(seconds: int) -> Time:
    return Time(sec=seconds, nanosec=7)


def info(seconds: int, width: int = 640) -> CameraInfo:
    message = CameraInfo(width=width)
    message.header.stamp = stamp(seconds)
    return message


def test_image_gets_the_message_with_its_stamp():
    """If the zoom changes, an older image that is still processed keeps its calibration."""
    cache = CameraInfoCache()
    for k in (1, 2, 3):
        cache.put(info(k, width=100 * k))
    assert [cache.lookup(stamp(k)).width for k in (2, 1, 3)] == [200, 100, 300]


def test_lookup_waits_for_a_late_message():
    cache = CameraInfoCache()
    cache.put(info(1, width=100))
    cache.lookup(stamp(1))
    threading.Timer(LOOKUP_TIMEOUT / 10, cache.put, [info(2, width=200)]).start()
    assert cache.lookup(stamp(2)).width == 200


def test_calibration_published_once_applies_to_all_images_after_one_wait(waits: list[float]):
    cache = CameraInfoCache()
    cache.put(info(0, width=320))
    assert all(cache.lookup(stamp(k)).width == 320 for k in range(1, 101))
    assert waits == [LOOKUP_TIMEOUT]
    cache.put(info(50, width=480))
    assert cache.lookup(stamp(200)).width == 480


def test_message_after_the_timeout_makes_the_next_lookup_wait():
    """A camera that publishes the image first, on a temporarily busy machine."""
    cache = CameraInfoCache()
    cache.put(info(1, width=100))
    assert cache.lookup(stamp(2)).width == 100
    cache.put(info(2, width=200))
    threading.Timer(LOOKUP_TIMEOUT / 10, cache.put, [info(3, width=300)]).start()
    assert cache.lookup(stamp(3)).width == 300


def test_lost_message_causes_no_wait(waits: list[float]):
    """The message of a later image shows that it was lost; the latest message is used."""
    cache = CameraInfoCache()
    for k in (1, 2, 3, 5):
        cache.put(info(k, width=100 * k))
    assert [cache.lookup(stamp(k)).width for k in (1, 2, 3, 4, 5)] == [100, 200, 300, 500, 500]
    assert not waits


def test_messages_at_a_lower_rate_cause_no_waits(waits: list[float]):
    """One message per ten images."""
    cache = CameraInfoCache()
    for k in range(100):
        if k % 10 == 0:
            cache.put(info(k, width=k))
        assert cache.lookup(stamp(k)).width == k - k % 10
    assert len(waits) <= 1


def test_empty_cache():
    cache = CameraInfoCache()
    assert cache.lookup(stamp(1)) is None


def test_latest_message_is_the_last_received():
    """After a backward clock jump, the latest message has an older stamp."""
    cache = CameraInfoCache()
    for seconds in range(100, 100 + 2 * CACHE_SIZE):
        cache.put(info(seconds, width=1))
    cache.put(info(5, width=2))
    assert cache.lookup(stamp(6)).width == 2
