"""What is measured on a clip, where it is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.small_clip import small_clip

from lgnet_core.data.clip import Clip
from lgnet_core.evaluation.clip_scores import measure
from lgnet_core.evaluation.reported import ReportedHand
from lgnet_core.geometry.camera import project_distorted
from lgnet_core.types import Side


def true_hands(clip: Clip, k: int) -> list[ReportedHand]:
    joints = clip.joints[k]
    return [ReportedHand(side, project_distorted(joints[side], clip.camera), joints[side], True) for side in Side]


def test_truth_has_no_error():
    clip = small_clip()
    scores = measure([true_hands(clip, k) for k in range(3)], clip)
    assert (scores.found, scores.missed, scores.extra) == (6, 0, 0)
    errors = [scores.error_pixels, scores.error_relative, scores.error_wrist, scores.error_between]
    np.testing.assert_allclose(errors, 0, atol=1e-9)


def test_errors_are_what_they_say():
    """The estimate shifted by 2 cm in depth: the wrists are 2 cm off, the hands themselves are right."""
    clip = small_clip()
    shifted = replace(clip, joints=clip.joints + np.array([0, 0, 0.02]))
    found = [true_hands(shifted, k) for k in range(3)]
    found[1] = found[1][:1]
    scores = measure(found, clip)
    assert (scores.found, scores.missed) == (5, 1)
    assert scores.error_wrist == pytest.approx(20)
    assert scores.error_relative == pytest.approx(0, abs=1e-9)
    assert scores.error_between == pytest.approx(0, abs=1e-9)
    assert scores.error_pixels > 0
    absent = replace(clip, presence=np.zeros((3, 2), bool))
    scores = measure(found, absent)
    assert (scores.found, scores.missed, scores.extra) == (0, 0, 5)
    assert np.isnan(scores.error_pixels)


def test_between_the_wrists():
    """The left hands 3 cm aside; where a hand is missing there is no pair."""
    clip = small_clip()
    aside = np.array([0.03, 0, 0])
    found = [
        [right, left._replace(joints=left.joints + aside)] for right, left in (true_hands(clip, k) for k in range(3))
    ]
    found[2] = found[2][1:]
    scores = measure(found, clip)
    assert scores.error_between == pytest.approx(30)
    assert scores.error_wrist == pytest.approx(30 * 3 / 5)


def test_the_same_side_twice_counts_once():
    clip = small_clip()
    right, left = true_hands(clip, 0)
    scores = measure([[right, right], [], [left, right]], clip)
    assert (scores.found, scores.missed, scores.extra) == (3, 3, 1)


def test_hands_without_a_place_have_no_error_of_place():
    clip = small_clip()
    scores = measure([[hand._replace(placed=False) for hand in true_hands(clip, k)] for k in range(3)], clip)
    assert scores.error_relative == pytest.approx(0, abs=1e-9)
    assert np.isnan(scores.error_wrist)
    assert np.isnan(scores.error_between)
