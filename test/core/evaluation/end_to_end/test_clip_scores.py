"""Scores of a clip with known errors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.small_clip import small_clip

from lgnet_core.data.clip import Clip
from lgnet_core.evaluation.end_to_end.clip_scores import score_clip
from lgnet_core.evaluation.end_to_end.reported_hand import ReportedHand
from lgnet_core.geometry.camera import project_distorted
from lgnet_core.types import Side


def true_hands(clip: Clip, k: int) -> list[ReportedHand]:
    joints = clip.joints[k]
    return [ReportedHand(side, project_distorted(joints[side], clip.camera), joints[side], True) for side in Side]


def test_true_hands_have_no_error():
    clip = small_clip()
    scores = score_clip([true_hands(clip, k) for k in range(3)], clip)
    assert (scores.found, scores.missed, scores.extra) == (6, 0, 0)
    errors = [scores.error_pixels, scores.error_relative, scores.error_wrist, scores.error_between]
    errors += [scores.error_acceleration, scores.error_acceleration_relative]
    np.testing.assert_allclose(errors, 0, atol=1e-9)


def test_depth_error():
    """Estimates shifted by 2 cm in depth have a wrist error of 2 cm and no relative error."""
    clip = small_clip()
    shifted = replace(clip, joints=clip.joints + np.array([0, 0, 0.02]))
    reported = [true_hands(shifted, k) for k in range(3)]
    reported[1] = reported[1][:1]
    scores = score_clip(reported, clip)
    assert (scores.found, scores.missed) == (5, 1)
    assert scores.error_wrist == pytest.approx(20)
    assert scores.error_relative == pytest.approx(0, abs=1e-9)
    assert scores.error_between == pytest.approx(0, abs=1e-9)
    assert scores.error_pixels > 0
    without_hands = replace(clip, presence=np.zeros((3, 2), bool))
    scores = score_clip(reported, without_hands)
    assert (scores.found, scores.missed, scores.extra) == (0, 0, 5)
    assert np.isnan(scores.error_pixels)


def test_error_between_wrists():
    """Left hands displaced by 3 cm; a frame with one hand has no pair."""
    clip = small_clip()
    offset = np.array([0.03, 0, 0])
    reported = [
        [right, left._replace(joints=left.joints + offset)] for right, left in (true_hands(clip, k) for k in range(3))
    ]
    reported[2] = reported[2][1:]
    scores = score_clip(reported, clip)
    assert scores.error_between == pytest.approx(30)
    assert scores.error_wrist == pytest.approx(30 * 3 / 5)


def accelerated(clip: Clip, metres_per_second_squared: float, joints: slice) -> list[list[ReportedHand]]:
    """True hands, some joints of which drift along x with a constant acceleration."""
    reported = []
    for k in range(len(clip.joints)):
        shift = np.zeros((21, 3))
        shift[joints, 0] = 0.5 * metres_per_second_squared * (k / clip.frames_per_second) ** 2
        reported.append([hand._replace(joints=hand.joints + shift) for hand in true_hands(clip, k)])
    return reported


def test_known_acceleration_error():
    """0.4 m/s^2 of whole hands does not change the joints relative to the wrist; of all other joints, it does."""
    clip = small_clip(6)
    scores = score_clip(accelerated(clip, 0.4, slice(None)), clip)
    assert scores.error_acceleration == pytest.approx(400)
    assert scores.error_acceleration_relative == pytest.approx(0, abs=1e-6)
    scores = score_clip(accelerated(clip, 0.4, slice(1, None)), clip)
    assert scores.error_acceleration == pytest.approx(400 * 20 / 21)
    assert scores.error_acceleration_relative == pytest.approx(400)


def test_acceleration_needs_three_consecutive_frames():
    """An impulse in one frame: 1, -2 and 1 times its size; none where the hand is missing in between, or not placed."""
    clip = small_clip(9)
    reported = [true_hands(clip, k)[:1] for k in range(9)]
    reported[4] = [hand._replace(joints=hand.joints + np.array([0, 0.002, 0])) for hand in reported[4]]
    assert score_clip(reported, clip).error_acceleration == pytest.approx((2 + 4 + 2) / 7 * 10**2)
    reported[5] = []  # leaves only the frame before the impulse, of the frames around it
    assert score_clip(reported, clip).error_acceleration == pytest.approx(2 / 4 * 10**2)
    unplaced = [[hand._replace(placed=False) for hand in hands] for hands in reported]
    scores = score_clip(unplaced, clip)
    assert np.isnan(scores.error_acceleration)
    assert scores.error_acceleration_relative == pytest.approx(0, abs=1e-6)
    assert np.isnan(score_clip(reported[:2], small_clip(2)).error_acceleration)


def test_second_hand_of_a_side_is_extra():
    clip = small_clip()
    right, left = true_hands(clip, 0)
    scores = score_clip([[right, right], [], [left, right]], clip)
    assert (scores.found, scores.missed, scores.extra) == (3, 3, 1)


def test_unplaced_hands_have_no_wrist_error():
    clip = small_clip()
    scores = score_clip([[hand._replace(placed=False) for hand in true_hands(clip, k)] for k in range(3)], clip)
    assert scores.error_relative == pytest.approx(0, abs=1e-9)
    assert np.isnan(scores.error_wrist)
    assert np.isnan(scores.error_between)
