"""Tracks: prediction of the next crop, and filtering of the handedness."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scripted_engines import OPEN_HAND

from lgnet_core.geometry.hand_crops import crops_from_joints
from lgnet_core.inference.observation import HandObservation
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.inference.tracking.track import Track, predict_crops
from lgnet_core.types import Side

THRESHOLDS = Thresholds()
SECOND = 1.0


def observation(u: float = 0.0, v: float = 0.0, right: float = 0.9, side_of_crop: Side = Side.RIGHT) -> HandObservation:
    joints = OPEN_HAND + np.array([100 + u, 100 + v])
    return HandObservation(right, 0.9, joints, *(np.eye(3),) * 3, side_of_crop is Side.LEFT, None)


def test_the_crop_of_a_new_track_is_around_its_observation():
    crop = predict_crops([Track(1, 0, Side.LEFT, observation())], SECOND, THRESHOLDS)
    expected = crops_from_joints(observation().joints[None])
    for name in ("centre", "side", "angle"):
        assert np.array_equal(getattr(crop, name), getattr(expected, name))
    assert crop.mirrored.tolist() == [True], "according to the side of the track, not of the observation"


@given(u=st.floats(-9, 9), v=st.floats(-9, 9), interval=st.floats(0.01, 0.2), ahead=st.floats(0.01, 0.2))
def test_constant_velocity_is_predicted_exactly(u, v, interval, ahead):
    """Also for irregular intervals."""
    track = Track(1, 0, Side.RIGHT, observation())
    velocity = np.array([u, v]) * 10
    track.update(observation(*velocity * interval), interval)
    np.testing.assert_allclose(track.velocity, velocity, atol=1e-9)
    expected = crops_from_joints(observation(*velocity * (interval + ahead)).joints[None])
    np.testing.assert_allclose(predict_crops([track], ahead, THRESHOLDS).centre, expected.centre, atol=1e-6)


def test_the_shift_of_a_crop_is_limited():
    track = Track(1, 0, Side.RIGHT, observation())
    track.update(observation(50, -1), 1 / 30)
    predicted, last = (predict_crops([track], ahead, THRESHOLDS) for ahead in (0.5, 0.0))
    limit = THRESHOLDS.max_crop_shift * float(last.side[0])
    assert (predicted.centre - last.centre)[0].tolist() == pytest.approx([limit, -15])


def test_handedness_is_a_moving_average():
    track = Track(1, 0, Side.RIGHT, observation(right=0.8))
    filtered = track.filter_handedness(observation(1, right=0.2), THRESHOLDS)
    assert filtered.right_probability == pytest.approx(0.9 * 0.8 + 0.1 * 0.2)
    np.testing.assert_array_equal(filtered.joints, observation(1).joints)


def test_handedness_changes_after_several_images():
    track, images = Track(1, 0, Side.RIGHT, observation(right=0.95)), 0
    while track.observation.side is Side.RIGHT:
        track.update(track.filter_handedness(observation(right=0.05), THRESHOLDS), SECOND)
        images += 1
    assert images == 7  # 0.05 + 0.9 * 0.9^n falls below 0.5


def test_tracks_are_predicted_independently():
    tracks = [Track(k, 0, side, observation(20 * k), np.array([10.0 * k, -5])) for k, side in enumerate(Side)]
    together = predict_crops(tracks, 0.1, THRESHOLDS)
    assert together.mirrored.tolist() == [False, True]
    for k, track in enumerate(tracks):
        alone = predict_crops([track], 0.1, THRESHOLDS)
        assert np.array_equal(together.centre[k], alone.centre[0])
