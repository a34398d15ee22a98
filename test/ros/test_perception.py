"""One image from message to hands: calibration or none, failures, memory, rates."""

from __future__ import annotations

import array
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import CameraInfo, Image
from support.fixed_hands import FixedTracker

from lgnet_core.inference import OutOfMemoryError, Smoothing
from lgnet_ros.input.camera_info_cache import CameraInfoCache
from lgnet_ros.input.invalid_message import InvalidMessageError
from lgnet_ros.parameters import Settings
from lgnet_ros.perception import Perception, RateLimit, load_tracker, nanoseconds, tune

K = [50.0, 0.0, 31.5, 0.0, 50.0, 23.5, 0.0, 0.0, 1.0]


def image_message(mark: int = 255) -> Image:
    message = Image(width=64, height=48, step=192, encoding="rgb8", data=array.array("B", bytes([mark]) * 9216))
    message.header.stamp.sec = 7
    return message


def info(k: list[float] = K, width: int = 64) -> CameraInfo:
    message = CameraInfo(width=width, height=48, k=k)
    message.header.stamp.sec = 7
    return message


class Desk:
    """A perception with everything around it in view."""

    def __init__(self, *infos: CameraInfo, wanted: bool = False) -> None:
        self.tracker = FixedTracker()
        self.told: list[bool] = []
        calibrations = CameraInfoCache()
        for message in infos:
            calibrations.put(message)
        self.perception = Perception(self.tracker, calibrations, "/image", lambda: wanted, self.told.append)

    def look(self, message: Image, **settings):
        return self.perception.look(message, Settings(**settings))


def test_a_calibrated_image_gives_metric_hands():
    seen = Desk(info()).look(image_message())
    assert seen.hands.metric
    assert seen.image.shape == (48, 64, 3)
    np.testing.assert_array_equal(seen.camera.matrix.ravel(), K)
    assert set(seen.seconds) == {"decode", "calibration", "network"}


@pytest.mark.parametrize(("infos", "heard"), [([], False), ([info([0.0] * 9)], True)])
def test_without_calibration_hands_are_made_only_for_who_wants_them(infos, heard):
    """No camera_info, or one of zeros: told each time; looked at only for an overlay, and then not metric."""
    idle, asked = Desk(*infos), Desk(*infos, wanted=True)
    assert idle.look(image_message()) is None
    assert not asked.look(image_message()).hands.metric
    assert idle.told == asked.told == [heard]


def test_a_calibration_of_another_size_is_refused():
    with pytest.raises(InvalidMessageError, match=r"128x48.*64x48"):
        Desk(info(width=128)).look(image_message())


def test_a_full_memory_is_freed_and_tried_once_more():
    desk = Desk(info())
    assert desk.look(image_message(mark=2)).hands.right is not None
    assert (desk.tracker.estimator.freed, desk.tracker.resets) == (1, 1)
    with pytest.raises(OutOfMemoryError):
        desk.look(image_message(mark=3))
    assert desk.tracker.estimator.freed == 2, "once for each image, not over and over"


def test_settings_reach_the_tracker_with_the_next_image():
    desk = Desk(info())
    desk.look(
        image_message(),
        presence_threshold=0.3,
        detection_interval=4,
        tracking_max_gap=0.2,
        smoothing=False,
    )
    tracker = desk.tracker
    assert tracker.estimator.presence_threshold == 0.3
    assert (tracker.detection_interval, tracker.max_gap) == (4, 0.2)
    assert tracker.smoothing is None
    desk.look(image_message(), smoothing_min_cutoff=2.0, smoothing_beta=5.0)
    assert tracker.smoothing == Smoothing(min_cutoff=2.0, beta=5.0)


def test_smoothing_is_kept_while_nothing_changes():
    """A new filter with every image would never smooth."""
    tracker, settings = FixedTracker(), Settings()
    tune(tracker, settings)
    first = tracker.smoothing
    tune(tracker, settings)
    assert tracker.smoothing == first


def test_parameters_reach_the_loader(monkeypatch):
    """Empty texts and zeros of the parameters mean "not given"."""
    given: list[tuple[tuple, dict]] = []

    def load(*args, **kwargs):
        given.append((args, kwargs))
        return SimpleNamespace()

    monkeypatch.setattr("lgnet_ros.perception.HandEstimator.load", load)
    load_tracker(Settings())
    load_tracker(Settings(weights="w", device="cpu", hand_model="m", engine="onnx", hand_length=0.18, threads=3))
    plain = {"presence_threshold": 0.5, "hand_length": None, "threads": None}
    assert given[0] == ((None, "auto", None, "auto"), plain)
    assert given[1] == (("w", "cpu", "m", "onnx"), plain | {"hand_length": 0.18, "threads": 3})


@given(
    rate=st.floats(1, 30), camera=st.floats(20, 60), jitter=st.floats(0, 0.1), seed=st.integers(0, 100)
)  # fmt: skip
def test_a_rate_is_held_on_average_and_never_exceeded(rate, camera, jitter, seed):
    """A camera that jitters by 10 %: as many images pass as the rate allows and the camera gives."""
    rng = np.random.default_rng(seed)
    stamps = (
        np.arange(0, 20, 1 / camera) + rng.uniform(-jitter / 2, jitter / 2, len(np.arange(0, 20, 1 / camera))) / camera
    )
    limit = RateLimit()
    passed = [s for s in stamps if limit.allows(round(s * 1e9), rate)]
    measured = (len(passed) - 1) / (passed[-1] - passed[0])
    assert measured <= min(rate, camera) * 1.06
    if rate < camera / 3:
        assert measured >= 0.9 * rate


def test_rate_limit_after_a_pause_and_after_the_clock_jumped_back():
    limit = RateLimit()
    second = 10**9
    assert [limit.allows(t, 1) for t in (100 * second, 100 * second + 1, 101 * second)] == [True, False, True]
    assert limit.allows(500 * second, 1)
    assert limit.allows(20 * second, 1)
    assert not limit.allows(20 * second + 1, 1)
    assert all(limit.allows(0, 0) for _ in range(9)), "0: no limit"


@given(rate=st.floats(1, 30), camera=st.floats(31, 120), stamp=st.integers(0, 2**60))
def test_a_rate_is_held_where_stamps_stand_still(rate, camera, stamp):
    """A publisher that never sets them, or simulated time that does not run: by the time at which images come."""
    now = 10**15
    limit = RateLimit(lambda: now)
    passed = []
    for _ in range(round(20 * camera)):
        now += round(1e9 / camera)
        if limit.allows(stamp, rate):
            passed.append(now)
    measured = (len(passed) - 2) / (passed[-1] - passed[1]) * 1e9  # the first had no image before it
    assert 0.9 * min(rate, camera / 3) <= measured <= rate * 1.06


def test_nanoseconds_are_exact():
    message = image_message()
    message.header.stamp.sec, message.header.stamp.nanosec = 2**31 - 1, 999_999_999
    assert nanoseconds(message.header.stamp) == (2**31 - 1) * 10**9 + 999_999_999
