"""Tests of rate limiting by image stamps."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st

from lgnet_ros.rate_limit import RateLimiter, stamp_to_ns


@given(rate=st.floats(1, 30), camera=st.floats(20, 60), jitter=st.floats(0, 0.1), seed=st.integers(0, 100))
def test_average_rate_is_kept_and_never_exceeded(rate, camera, jitter, seed):
    """With 10 % jitter, as many images pass as the limit and the camera allow."""
    times = np.arange(0, 20, 1 / camera)
    stamps = times + np.random.default_rng(seed).uniform(-jitter / 2, jitter / 2, len(times)) / camera
    limiter = RateLimiter()
    passed = [s for s in stamps if limiter.allows(round(s * 1e9), rate)]
    measured = (len(passed) - 1) / (passed[-1] - passed[0])
    assert measured <= min(rate, camera) * 1.06
    if rate < camera / 3:
        assert measured >= 0.9 * rate


def test_first_image_after_a_pause_or_clock_jump_passes():
    limiter = RateLimiter()
    second = 10**9
    assert [limiter.allows(t, 1) for t in (100 * second, 100 * second + 1, 101 * second)] == [True, False, True]
    assert limiter.allows(500 * second, 1)
    assert limiter.allows(20 * second, 1)
    assert not limiter.allows(20 * second + 1, 1)
    assert all(limiter.allows(0, 0) for _ in range(9)), "0 disables the limit"


@given(rate=st.floats(1, 30), camera=st.floats(31, 120), stamp=st.integers(0, 2**60))
def test_constant_stamps_are_limited_by_arrival_time(rate, camera, stamp):
    """For publishers that never set stamps, and while simulated time is paused."""
    now = 10**15
    limiter = RateLimiter(lambda: now)
    passed = []
    for _ in range(round(20 * camera)):
        now += round(1e9 / camera)
        if limiter.allows(stamp, rate):
            passed.append(now)
    measured = (len(passed) - 2) / (passed[-1] - passed[1]) * 1e9  # the first image has no predecessor
    assert 0.9 * min(rate, camera / 3) <= measured <= rate * 1.06


def test_conversion_to_nanoseconds_is_exact():
    assert stamp_to_ns(Time(sec=2**31 - 1, nanosec=999_999_999)) == (2**31 - 1) * 10**9 + 999_999_999
    assert stamp_to_ns(Time(sec=-1, nanosec=5)) == -(10**9) + 5
