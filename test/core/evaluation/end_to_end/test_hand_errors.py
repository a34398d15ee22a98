"""Errors of a reported hand against shifts that are known."""

from __future__ import annotations

import numpy as np
import pytest
from support.fixed_hands import two_hands

from lgnet_core.evaluation.estimates import hand_errors
from lgnet_core.evaluation.reported import ReportedHand, reported
from lgnet_core.types import Camera

CAMERA = Camera(np.array([[560.0, 0, 319.5], [0, 560, 239.5], [0, 0, 1]]), 640, 480)


@pytest.fixture(scope="module")
def hand(hand_model) -> ReportedHand:
    """Exactly where it is."""
    return reported(two_hands(hand_model))[1]


def test_the_truth_has_no_error(hand):
    errors = hand_errors(hand, hand.joints, CAMERA)
    np.testing.assert_allclose(errors.pixels, 0, atol=1e-6)
    np.testing.assert_allclose(errors.relative, 0, atol=1e-9)
    assert errors.wrist == 0


def test_a_moved_hand_and_a_moved_finger(hand):
    """The whole hand 30 mm to the right and 40 mm back; the tip of the thumb 5 mm more, and 2 px in the image."""
    joints, places = hand.joints + np.array([0.03, 0, 0.04]), hand.joints_2d.copy()
    joints[4] += [0, 0.005, 0]
    places[4] += [0, 2]
    errors = hand_errors(hand._replace(joints=joints, joints_2d=places), hand.joints, CAMERA)
    others = np.arange(21) != 4
    assert errors.wrist == pytest.approx(50)
    assert errors.relative[4] == pytest.approx(5)
    assert errors.pixels[4] == pytest.approx(2)
    np.testing.assert_allclose(errors.relative[others], 0, atol=1e-9)
    np.testing.assert_allclose(errors.pixels[others], 0, atol=1e-6)


def test_what_is_not_known_has_no_error(hand):
    """Without the wrist nothing is relative to it, but the image can still be judged."""
    true = hand.joints.copy()
    true[7] = np.nan
    errors = hand_errors(hand, true, CAMERA)
    assert np.flatnonzero(np.isnan(errors.pixels)).tolist() == np.flatnonzero(np.isnan(errors.relative)).tolist() == [7]
    true[0] = np.nan
    errors = hand_errors(hand, true, CAMERA)
    assert np.isnan(errors.wrist)
    assert np.isnan(errors.relative).all()
    assert np.isfinite(errors.pixels).sum() == 19
