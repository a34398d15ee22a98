"""Size of a tracked hand, measured with depth maps that may be older than the image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.fixed_hands import two_hands

from lgnet_core.hand_model import HandModel
from lgnet_core.inference.depth_alignment import scale_hand
from lgnet_core.inference.tracking.track_size import MAX_WEIGHT_COUNT, TrackSize
from lgnet_core.types import WRIST, Hand, SizeSource

MS = 1_000_000


def moved(hand: Hand, metres: float) -> Hand:
    shift = np.array([metres, 0, 0])
    return replace(hand, joints=hand.joints + shift, vertices=hand.vertices + shift)


@pytest.fixture(scope="module")
def hand(hand_model: HandModel) -> Hand:
    return two_hands(hand_model).right


def test_hand_between_two_images(hand):
    size = TrackSize()
    for k in range(4):
        size.add(100 * MS * k, moved(hand, 0.1 * k))
    at = size.hand_at(250 * MS)
    np.testing.assert_allclose(at.joints, moved(hand, 0.25).joints, atol=1e-12)
    np.testing.assert_allclose(at.vertices, moved(hand, 0.25).vertices, atol=1e-12)
    np.testing.assert_allclose(size.hand_at(900 * MS).joints, moved(hand, 0.3).joints)  # beyond the last one
    np.testing.assert_allclose(size.hand_at(-5 * MS).joints, hand.joints)  # before the first one


def test_factor_is_unknown_before_the_first_measurement(hand):
    assert TrackSize().factor(hand) is None


def test_measurements_are_averaged(hand):
    """The factor brings hands of any predicted size to the mean of the measured lengths."""
    size = TrackSize()
    for factor in (1.1, 1.2, 1.3):
        size.update(hand, factor)
    assert size.factor(hand) == pytest.approx(1.2)
    assert size.factor(scale_hand(hand, 2.0, SizeSource.DEPTH)) == pytest.approx(0.6)


def test_old_measurements_are_forgotten(hand):
    size = TrackSize()
    size.update(hand, 2.0)
    for _ in range(10 * MAX_WEIGHT_COUNT):
        size.update(hand, 1.0)
    assert size.factor(hand) == pytest.approx(1.0, abs=1e-3)


def track_of(hand: Hand, *stamps: int) -> TrackSize:
    """A track whose predicted hand stands still."""
    size = TrackSize()
    for stamp in stamps:
        size.add(stamp * MS, hand)
    return size


def test_older_depth_is_continued_at_its_speed(hand):
    """Depths of 0.50 and 0.52 m, 40 ms apart, give 0.54 m after another 40 ms, whatever was predicted."""
    size = track_of(hand, 0, 40, 80)
    size.continued(0, 0.50)
    for _ in range(2):  # one depth map for two images
        assert size.continued(40 * MS, 0.52) * hand.joints[WRIST, 2] == pytest.approx(0.54)


@pytest.mark.parametrize(
    ("measurements", "stamps"),
    [
        ([(80, 0.52)], (0, 40, 80)),  # of the image itself
        ([(40, 0.50), (80, 0.52)], (0, 40, 80)),  # of the image itself, after another
        ([(40, 0.52)], (0, 40, 80)),  # the first one
        ([(0, 0.2), (40, 0.52)], (0, 40, 80)),  # 8 m/s
        ([(0, 0.50), (200, 0.52)], (0, 200, 240)),  # too long ago
        ([(0, 0.50), (40, 0.52)], (0, 40, 300)),  # too long before the image
    ],
)
def test_depth_is_not_continued(hand, measurements, stamps):
    size = track_of(hand, *stamps)
    for stamp, depth in measurements:
        factor = size.continued(stamp * MS, depth)
    assert factor * hand.joints[WRIST, 2] == pytest.approx(0.52)
