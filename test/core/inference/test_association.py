"""Which observations are one hand, and which is right and which left: cases by hand, and laws."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scripted_engines import SPREAD

from lgnet_core.inference.association import assign_sides, same_hand, suppress_duplicates
from lgnet_core.inference.observation import HandObservation
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.types import Side

THRESHOLDS = Thresholds()
SIZE = float(np.ptp(SPREAD, axis=0).max())
LIMIT = THRESHOLDS.same_hand * SIZE


def hand(u: float = 0.0, presence: float = 0.9, right: float = 0.9, size: float = 1.0) -> HandObservation:
    """A hand ``u`` pixels to the right of the first one."""
    affine = np.array([[1 / size, 0, 0], [0, 1 / size, 0]])
    return HandObservation(right, presence, SPREAD * size + [u, 0], affine, np.eye(3), np.eye(3), False, None)


HANDS = st.lists(
    st.builds(hand, st.floats(0, 120), st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(0.7, 1.4)), max_size=5
)


def test_one_hand_is_where_joints_lie_near_each_other():
    assert same_hand(hand(), hand(LIMIT - 0.1), THRESHOLDS)
    assert not same_hand(hand(), hand(LIMIT + 0.1), THRESHOLDS)


def test_near_is_measured_by_the_larger_hand():
    """A tenth larger about its wrist, its joints are elsewhere by a tenth of their distances from it."""
    wide = hand(size=1.1)
    apart = float(np.linalg.norm(0.1 * SPREAD, axis=-1).mean())
    for part, same in ((0.999, False), (1.001, True)):
        thresholds = Thresholds(same_hand=part * apart / wide.size)
        assert same_hand(hand(), wide, thresholds) is same_hand(wide, hand(), thresholds) is same


def test_hands_in_one_box_that_point_elsewhere_are_two():
    """Fingers where the other's wrist is: the boxes are one, the joints are not."""
    one = hand()
    middle = (SPREAD.min(0) + SPREAD.max(0)) / 2
    other = HandObservation(0.9, 0.9, 2 * middle - SPREAD, *(np.eye(3),) * 3, False, None)
    np.testing.assert_allclose(one.box, other.box)
    assert not same_hand(one, other, THRESHOLDS)


def test_the_surer_of_two_observations_of_a_hand_stays():
    weak, strong, elsewhere, absent = hand(2, 0.6), hand(0, 0.8), hand(100, 0.7), hand(200, 0.4)
    assert suppress_duplicates([weak, None, strong, absent, elsewhere], THRESHOLDS, 0.5) == [strong, elsewhere]


@given(hands=HANDS, presence=st.floats(0.1, 0.9))
def test_suppression_is_idempotent_and_leaves_each_hand_once(hands, presence):
    kept = suppress_duplicates(hands, THRESHOLDS, presence)
    assert suppress_duplicates(kept, THRESHOLDS, presence) == kept
    assert all(one.presence >= presence for one in kept)
    for k, one in enumerate(kept):
        assert not any(same_hand(one, other, THRESHOLDS) for other in kept[k + 1 :])
    for one in hands:  # nothing is lost but for one that is as sure
        if one.presence >= presence and one not in kept:
            assert any(same_hand(one, other, THRESHOLDS) and other.presence >= one.presence for other in kept)


@pytest.mark.parametrize(
    ("hands", "sides"),
    [
        ([], {}),
        ([(0.9, 0.8)], {Side.RIGHT: 0}),
        ([(0.9, 0.3)], {Side.LEFT: 0}),
        ([(0.9, 0.8), (0.9, 0.2)], {Side.RIGHT: 0, Side.LEFT: 1}),
        # Two that look right: 0.9 x 0.9 + 0.9 x 0.3 = 1.08 beats 0.9 x 0.7 + 0.9 x 0.1 = 0.72.
        ([(0.9, 0.7), (0.9, 0.9)], {Side.RIGHT: 1, Side.LEFT: 0}),
        # Presence weighs: 0.4 x 0.9 + 0.9 x 0.4 = 0.72 beats 0.9 x 0.6 + 0.4 x 0.1 = 0.58.
        ([(0.4, 0.9), (0.9, 0.6)], {Side.RIGHT: 0, Side.LEFT: 1}),
        # Of three, the two that are worth the most: a third hand is another person's.
        ([(0.5, 0.9), (0.9, 0.9), (0.8, 0.1)], {Side.RIGHT: 1, Side.LEFT: 2}),
        ([(0.0, 0.9)], {}),
    ],
)
def test_sides_by_hand(hands, sides):
    observations = [hand(100 * k, presence, right) for k, (presence, right) in enumerate(hands)]
    chosen = assign_sides(observations, THRESHOLDS)
    assert chosen == {side: observations[k] for side, k in sides.items()}
    assert list(chosen) == sorted(chosen)  # right first


@given(hands=HANDS)
def test_no_hand_has_both_sides_and_two_hands_are_never_less_than_one(hands):
    chosen = assign_sides(hands, THRESHOLDS)
    assert len({id(one) for one in chosen.values()}) == len(chosen) == min(len(hands), 2)
    assert all(one in hands for one in chosen.values())


def worth(chosen: dict[Side, HandObservation]) -> float:
    return sum(one.presence * one.side_probability(side) for side, one in chosen.items())


@given(hands=HANDS)
def test_no_other_choice_is_worth_more(hands):
    best = worth(assign_sides(hands, THRESHOLDS))
    for right, left in permutations(hands, 2):
        assert worth({Side.RIGHT: right, Side.LEFT: left}) <= best + 1e-12


@given(hands=HANDS, seed=st.integers(0, 99))
def test_the_order_of_the_hands_does_not_matter(hands, seed):
    order = np.random.default_rng(seed).permutation(len(hands))
    shuffled = [hands[k] for k in order]
    assert worth(assign_sides(shuffled, THRESHOLDS)) == pytest.approx(worth(assign_sides(hands, THRESHOLDS)))


@given(hands=HANDS)
def test_mirrored_beliefs_swap_the_sides(hands):
    mirrored = [one.with_right_probability(1 - one.right_probability) for one in hands]
    assert worth(assign_sides(mirrored, THRESHOLDS)) == pytest.approx(worth(assign_sides(hands, THRESHOLDS)))


@pytest.mark.parametrize(("ratio", "kept"), [(0.41, "both"), (0.39, "first"), (2.45, "both"), (2.55, "second")])
def test_what_is_far_smaller_than_another_hand_is_none(ratio, kept):
    """However sure the network is of it."""
    first, second = hand(presence=0.95), hand(u=400, presence=0.8, right=0.1, size=ratio)
    sides = {Side.RIGHT: first} if kept == "first" else {Side.LEFT: second}
    chosen = assign_sides([first, second], THRESHOLDS)
    assert chosen == ({Side.RIGHT: first, Side.LEFT: second} if kept == "both" else sides)
