"""Errors of the wrist's depth, and the simulated depth sensor against its published figures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.fixed_hands import CAMERA as VGA
from support.fixed_hands import flat_hand, two_hands

from lgnet_core.evaluation.end_to_end.depth_scores import (
    WITH,
    WITHOUT,
    WristDepthScores,
    scale_to_average_length,
    scale_to_measured_length,
)
from lgnet_core.evaluation.end_to_end.depth_sensor import add_background, observe_depth
from lgnet_core.hand_model import HandModel
from lgnet_core.inference.depth_alignment import scale_hand
from lgnet_core.types import WRIST, Camera, Side, SizeSource, TwoHands

CAMERA = Camera(np.array([[600.0, 0, 319.5], [0, 600, 239.5], [0, 0, 1]]), 640, 480)


def test_errors_are_per_cent_of_the_true_depth(hand_model: HandModel) -> None:
    hand = two_hands(hand_model).right
    scores = WristDepthScores()
    for factor, source in ((1.01, SizeSource.DEPTH), (0.97, SizeSource.EARLIER_DEPTH)):
        scores.add(hand.joints[WRIST], scale_hand(hand, 1.1, SizeSource.PREDICTED), scale_hand(hand, factor, source))
    computed = scores.compute()
    assert computed[WITHOUT]["error of the wrist's depth, mean, %"] == pytest.approx(10)
    assert computed[WITH]["error of the wrist's depth, mean, %"] == pytest.approx(2)
    assert computed[WITH]["error of the wrist's depth, 90th percentile, %"] == pytest.approx(2.8)
    assert computed[WITH]["hands"] == 2
    assert computed[WITH]["scaled to this depth map, fraction"] == pytest.approx(0.5)


def test_hands_get_the_length_that_is_measured_first(hand_model: HandModel) -> None:
    """Depth maps show hands of 1.1 times the size at first; later ones do not count."""
    one = flat_hand(hand_model).right
    other = replace(one, side=Side.LEFT)
    predicted = [TwoHands(scale_hand(one, f, SizeSource.PREDICTED), other, np.zeros(3), True) for f in (1.0, 0.9) * 15]
    early = [TwoHands(scale_hand(one, 1.1, SizeSource.DEPTH), scale_hand(other, 1.1, SizeSource.DEPTH), None, True)]
    late = [TwoHands(scale_hand(one, 1.5, SizeSource.DEPTH), None, None, True)]
    scaled = scale_to_measured_length(predicted, early * 16 + late * 14, VGA, hand_model)
    assert {hand.size_source for hands in scaled for hand in hands.hands} == {SizeSource.HAND_LENGTH}
    for hand in (hand for hands in scaled for hand in hands.hands):
        np.testing.assert_allclose(hand.joints, one.joints * 1.1)


def test_average_length_is_that_of_the_track_so_far(hand_model: HandModel) -> None:
    one = flat_hand(hand_model).right
    hands = [TwoHands(scale_hand(one, f, SizeSource.PREDICTED), None, None, True) for f in (1.0, 1.21, 1.1)]
    hands.append(TwoHands(replace(hands[1].right, track_id=2), None, None, True))
    averaged = scale_to_average_length(hands, hand_model)
    for scaled, factor in zip(averaged, (1.0, 1.1, 1.1, 1.21), strict=True):
        np.testing.assert_allclose(scaled.right.joints, one.joints * factor)


def test_no_hands_give_no_figures() -> None:
    computed = WristDepthScores().compute()
    assert computed[WITH]["hands"] == 0
    assert np.isnan(computed[WITH]["error of the wrist's depth, mean, %"])


@pytest.mark.parametrize("distance", [0.4, 0.8, 1.6])
def test_noise_on_a_wall_grows_with_the_square_of_the_distance(distance: float) -> None:
    """dz = z^2 / (f * baseline) * 0.08 pixels: 1.7 mm at 0.8 m and 600 pixels of focal length, unbiased.

    Rounding to steps of q adds a variance of q^2 / 12: 1/32 pixel and, which counts for near walls, 1 mm.
    """
    observed = observe_depth(np.full((480, 640), distance, np.float32), CAMERA, np.random.default_rng(0))
    measured = observed[observed > 0].astype(np.float64)
    metres_per_pixel = distance**2 / (600 * 0.05)
    expected = np.hypot(metres_per_pixel * np.hypot(0.08, 1 / 32 / 12**0.5), 1e-3 / 12**0.5)
    assert measured.std() == pytest.approx(expected, rel=0.1)
    # A millimetre need not contain as many steps of the disparity on both sides: up to half a step of bias.
    assert measured.mean() == pytest.approx(distance, abs=metres_per_pixel / 32 / 2)
    assert np.mean(observed == 0) == pytest.approx(0.05, abs=0.005)  # holes
    np.testing.assert_allclose(1000 * measured, np.round(1000 * measured), atol=1e-3)  # whole millimetres


def test_flying_pixels_are_only_at_edges() -> None:
    exact = np.full((480, 640), 1.0, np.float32)
    exact[:, :320] = 0.5
    observed = observe_depth(exact, CAMERA, np.random.default_rng(1))
    flying = (observed > 0.6) & (observed < 0.9)
    columns = flying.nonzero()[1]
    assert flying.sum() > 100
    assert np.abs(columns - 319.5).max() < 6
    assert np.mean(observed[:, 318:322] == 0) > 0.1  # and missing values


def test_background_is_behind_what_was_rendered() -> None:
    exact = np.zeros((480, 640), np.float32)
    exact[100:200, 100:200] = 0.7
    filled = add_background(exact, CAMERA, np.random.default_rng(2))
    np.testing.assert_array_equal(filled[100:200, 100:200], exact[100:200, 100:200])
    assert filled.min() > 0
    assert filled[exact == 0].max() > 0.7
