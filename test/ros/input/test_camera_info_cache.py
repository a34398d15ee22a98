"""Which camera_info an image gets: its own, else the last one."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo

from lgnet_ros.input.camera_info_cache import KEPT, WAIT, CameraInfoCache


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of each wait that was begun; none of them takes any time."""
    begun: list[float] = []

    def wait_for(_: threading.Condition, predicate: Callable[[], bool], timeout: float) -> bool:
        if not predicate():
            begun.append(timeout)
        return predicate()

    monkeypatch.setattr(threading.Condition, "wait_for", wait_for)
    return begun


def stamp(seconds: int) -> Time:
    return Time(sec=seconds, nanosec=7)


def info(seconds: int, width: int = 640) -> CameraInfo:
    message = CameraInfo(width=width)
    message.header.stamp = stamp(seconds)
    return message


def test_each_image_gets_its_own():
    """Zoom changes between two images: the older one, still at work, keeps its calibration."""
    calibrations = CameraInfoCache()
    for k in (1, 2, 3):
        calibrations.put(info(k, width=100 * k))
    assert [calibrations.find(stamp(k)).width for k in (2, 1, 3)] == [200, 100, 300]


def test_a_calibration_that_comes_after_its_image_is_waited_for():
    calibrations = CameraInfoCache()
    calibrations.put(info(1, width=100))
    calibrations.find(stamp(1))
    threading.Timer(WAIT / 10, calibrations.put, [info(2, width=200)]).start()
    assert calibrations.find(stamp(2)).width == 200


def test_a_calibration_published_once_holds_for_all_and_is_not_waited_for_twice(waits: list[float]):
    calibrations = CameraInfoCache()
    calibrations.put(info(0, width=320))
    assert all(calibrations.find(stamp(k)).width == 320 for k in range(1, 101))
    assert waits == [WAIT]
    calibrations.put(info(50, width=480))
    assert calibrations.find(stamp(200)).width == 480


def test_one_that_came_too_late_shows_that_waiting_pays():
    """A camera that publishes the image first, on a machine that was busy for a while."""
    calibrations = CameraInfoCache()
    calibrations.put(info(1, width=100))
    assert calibrations.find(stamp(2)).width == 100
    calibrations.put(info(2, width=200))
    threading.Timer(WAIT / 10, calibrations.put, [info(3, width=300)]).start()
    assert calibrations.find(stamp(3)).width == 300


def test_a_lost_calibration_costs_no_time(waits: list[float]):
    """That of the next image shows that it is lost; the image takes the last one."""
    calibrations = CameraInfoCache()
    for k in (1, 2, 3, 5):
        calibrations.put(info(k, width=100 * k))
    assert [calibrations.find(stamp(k)).width for k in (1, 2, 3, 4, 5)] == [100, 200, 300, 500, 500]
    assert not waits


def test_calibrations_at_a_lower_rate_than_images_are_not_waited_for(waits: list[float]):
    """Of each ten images one has its own."""
    calibrations = CameraInfoCache()
    for k in range(100):
        if k % 10 == 0:
            calibrations.put(info(k, width=k))
        assert calibrations.find(stamp(k)).width == k - k % 10
    assert len(waits) <= 1


def test_nothing_came_yet():
    calibrations = CameraInfoCache()
    assert calibrations.find(stamp(1)) is None


def test_the_last_put_is_the_last_whatever_its_stamp():
    """After the clock jumped back, the newer calibration has the older stamp."""
    calibrations = CameraInfoCache()
    for seconds in range(100, 100 + 2 * KEPT):
        calibrations.put(info(seconds, width=1))
    calibrations.put(info(5, width=2))
    assert calibrations.find(stamp(6)).width == 2
