"""Tests of the faults found in image headers, with a manual clock."""

from __future__ import annotations

import pytest
from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from lgnet_ros.input.header_check import MAX_STAMP_OFFSET, REPEAT_PERIOD, HeaderChecker

NOW = 1_700_000_000 * 10**9  # nanoseconds
MS = 1_000_000


def header(stamp_ns: int, frame_id: str = "camera") -> Header:
    return Header(stamp=Time(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9), frame_id=frame_id)


class Stream:
    """Images of a 30 Hz camera whose clock is the node's."""

    def __init__(self) -> None:
        self.time = 0.0
        self._checker = HeaderChecker(lambda: self.time)

    def faults(self, shift_ms: int = 0, frame_id: str = "camera", elapsed: float = 0.033) -> dict[str, str]:
        """Faults of the next image, whose stamp is shifted."""
        self.time += elapsed
        now = NOW + int(self.time * 1e9)
        return self._checker.check(header(now + shift_ms * MS, frame_id), now)


def test_healthy_stream_has_no_faults() -> None:
    """Neither latency, nor jitter, nor a single step back: a bag that loops, or a clock that is set."""
    stream = Stream()
    for k in range(100):
        assert stream.faults(shift_ms=-200 + 10 * (k % 2)) == {}
    for _ in range(5):
        assert stream.faults(shift_ms=-2000) == {}
        assert stream.faults(elapsed=REPEAT_PERIOD + 1) == {}


def test_empty_frame_id() -> None:
    faults = Stream().faults(frame_id="")
    assert list(faults) == ["frame_id_empty"]
    assert "no TF" in faults["frame_id_empty"]
    assert "set the camera driver's frame_id" in faults["frame_id_empty"]


def test_zero_stamps() -> None:
    checker = HeaderChecker()
    for _ in range(3):
        faults = checker.check(header(0), NOW)
        assert list(faults) == ["stamp_zero"], "they also do not advance and are off, which is the same fault"


@pytest.mark.parametrize(
    ("shift", "text"),
    [
        (3600, "60.0 min ahead of"),
        (-3600, "60.0 min behind"),
        (-11, "11.0 s behind"),
        (-86400 * 30, "30.0 days behind"),
    ],
)
def test_stamps_off_the_clock(shift: int, text: str) -> None:
    faults = Stream().faults(shift_ms=shift * 1000)
    assert list(faults) == ["stamp_offset"]
    assert text in faults["stamp_offset"]
    assert "use_sim_time" in faults["stamp_offset"]
    assert Stream().faults(shift_ms=int(MAX_STAMP_OFFSET * 1000) - 1) == {}


def test_simulated_time_without_clock() -> None:
    faults = HeaderChecker().check(header(NOW), 0)
    assert list(faults) == ["no_clock"]
    assert "/clock" in faults["no_clock"]


def test_constant_stamps() -> None:
    checker = HeaderChecker()
    assert checker.check(header(NOW), NOW) == {}
    assert checker.check(header(NOW), NOW) == {}, "one duplicate is no fault"
    assert list(checker.check(header(NOW), NOW)) == ["stamp_constant"]


def test_stamps_that_go_back_again_and_again() -> None:
    stream = Stream()
    faults = [stream.faults(shift_ms=-183 if k % 10 == 9 else 0) for k in range(100)]
    assert [k for k in range(100) if faults[k]] == list(range(19, 100, 10))
    assert "last by 0.150 s" in faults[99]["stamp_backwards"]


def test_two_cameras_on_one_topic() -> None:
    stream = Stream()
    assert stream.faults(frame_id="left") == {}
    assert stream.faults(frame_id="right", shift_ms=-50) == {}, "a camera may replace another one"
    faults = [stream.faults(frame_id=("left", "right")[k % 2], shift_ms=-50 * (k % 2)) for k in range(10)]
    assert all(list(fault) == ["frame_id_alternates"] for fault in faults), "its stamps are not compared"
    assert "'left' and 'right'" in faults[-1]["frame_id_alternates"]
