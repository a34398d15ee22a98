"""Errors of a reported hand with known displacements."""

from __future__ import annotations

import numpy as np
import pytest
from support.fixed_hands import two_hands

from lgnet_core.evaluation.end_to_end.hand_errors import hand_errors
from lgnet_core.evaluation.end_to_end.reported_hand import ReportedHand, to_reported_hands
from lgnet_core.types import Camera

CAMERA = Camera(np.array([[560.0, 0, 319.5], [0, 560, 239.5], [0, 0, 1]]), 640, 480)


@pytest.fixture(scope="module")
def hand(hand_model) -> ReportedHand:
    """A hand at its true position."""
    return to_reported_hands(two_hands(hand_model))[1]


def test_true_hand_has_no_error(hand):
    errors = hand_errors(hand, hand.joints, CAMERA)
    np.testing.assert_allclose(errors.pixels, 0, atol=1e-6)
    np.testing.assert_allclose(errors.relative, 0, atol=1e-9)
    assert errors.wrist == 0


def test_displaced_hand_and_fingertip(hand):
    """The hand is displaced by (30, 0, 40) mm; the tip of the thumb by another 5 mm and 2 px."""
    joints, joints_2d = hand.joints + np.array([0.03, 0, 0.04]), hand.joints_2d.copy()
    joints[4] += [0, 0.005, 0]
    joints_2d[4] += [0, 2]
    errors = hand_errors(hand._replace(joints=joints, joints_2d=joints_2d), hand.joints, CAMERA)
    others = np.arange(21) != 4
    assert errors.wrist == pytest.approx(50)
    assert errors.relative[4] == pytest.approx(5)
    assert errors.pixels[4] == pytest.approx(2)
    np.testing.assert_allclose(errors.relative[others], 0, atol=1e-9)
    np.testing.assert_allclose(errors.pixels[others], 0, atol=1e-6)


def test_unknown_joints_have_no_error(hand):
    """Without the wrist there are no relative errors, but still pixel errors."""
    true_joints = hand.joints.copy()
    true_joints[7] = np.nan
    errors = hand_errors(hand, true_joints, CAMERA)
    assert np.flatnonzero(np.isnan(errors.pixels)).tolist() == np.flatnonzero(np.isnan(errors.relative)).tolist() == [7]
    true_joints[0] = np.nan
    errors = hand_errors(hand, true_joints, CAMERA)
    assert np.isnan(errors.wrist)
    assert np.isnan(errors.relative).all()
    assert np.isfinite(errors.pixels).sum() == 19
