"""A followed hand: where its next crop is, and what is kept of the belief in its side."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.scripted_engines import SPREAD

from lgnet_core.geometry.hand_crops import crops_of_joints
from lgnet_core.inference.observation import HandObservation
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.inference.tracking.track import Track, next_crops
from lgnet_core.types import Side

THRESHOLDS = Thresholds()
SECOND = 1.0


def seen(u: float = 0.0, v: float = 0.0, right: float = 0.9, side_of_crop: Side = Side.RIGHT) -> HandObservation:
    joints = SPREAD + np.array([100 + u, 100 + v])
    return HandObservation(right, 0.9, joints, *(np.eye(3),) * 3, side_of_crop is Side.LEFT, None)


def test_a_new_tracks_crop_is_around_its_observation():
    crop = next_crops([Track(1, Side.LEFT, seen())], SECOND, THRESHOLDS)
    expected = crops_of_joints(torch.from_numpy(seen().joints)[None])
    for name in ("centre", "side", "angle"):
        assert torch.equal(getattr(crop, name), getattr(expected, name))
    assert crop.mirrored.tolist() == [True], "as the track's side asks, whatever the last observation believes"


@given(u=st.floats(-9, 9), v=st.floats(-9, 9), interval=st.floats(0.01, 0.2), ahead=st.floats(0.01, 0.2))
def test_a_hand_at_constant_velocity_is_met(u, v, interval, ahead):
    """However irregular the images come."""
    track = Track(1, Side.RIGHT, seen())
    velocity = np.array([u, v]) * 10
    track.update(seen(*velocity * interval), interval)
    np.testing.assert_allclose(track.velocity, velocity, atol=1e-9)
    there = crops_of_joints(torch.from_numpy(seen(*velocity * (interval + ahead)).joints)[None])
    np.testing.assert_allclose(next_crops([track], ahead, THRESHOLDS).centre, there.centre, atol=1e-6)


def test_no_crop_moves_further_than_a_part_of_its_side():
    track = Track(1, Side.RIGHT, seen())
    track.update(seen(50, -1), 1 / 30)
    moved, still = (next_crops([track], ahead, THRESHOLDS) for ahead in (0.5, 0.0))
    limit = THRESHOLDS.velocity_limit * float(still.side)
    assert (moved.centre - still.centre)[0].tolist() == pytest.approx([limit, -15])


def test_a_belief_is_a_moving_average():
    track = Track(1, Side.RIGHT, seen(right=0.8))
    believed = track.believe(seen(1, right=0.2), THRESHOLDS)
    assert believed.right_probability == pytest.approx(0.9 * 0.8 + 0.1 * 0.2)
    np.testing.assert_array_equal(believed.joints, seen(1).joints)


def test_one_image_does_not_turn_a_belief_and_many_do():
    track, images = Track(1, Side.RIGHT, seen(right=0.95)), 0
    while track.observation.side is Side.RIGHT:
        track.update(track.believe(seen(right=0.05), THRESHOLDS), SECOND)
        images += 1
    assert images == 7  # 0.05 + 0.9 * 0.9^n falls to a half


def test_each_track_has_a_crop_of_its_own():
    tracks = [Track(k, side, seen(20 * k), np.array([10.0 * k, -5])) for k, side in enumerate(Side)]
    together = next_crops(tracks, 0.1, THRESHOLDS)
    assert together.mirrored.tolist() == [False, True]
    for k, track in enumerate(tracks):
        alone = next_crops([track], 0.1, THRESHOLDS)
        assert torch.equal(together.centre[k], alone.centre[0])
