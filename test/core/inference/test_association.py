"""Association of observations: duplicate suppression and assignment of sides, by example and by property."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scripted_engines import OPEN_HAND

from lgnet_core.inference.association import assign_sides, is_same_hand, suppress_duplicates
from lgnet_core.inference.observation import HandObservation
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.types import Side

THRESHOLDS = Thresholds()
SIZE = float(np.ptp(OPEN_HAND, axis=0).max())
LIMIT = THRESHOLDS.duplicate_distance * SIZE


def hand(u: float = 0.0, presence: float = 0.9, right: float = 0.9, size: float = 1.0) -> HandObservation:
    """A hand translated by ``u`` pixels."""
    affine = np.array([[1 / size, 0, 0], [0, 1 / size, 0]])
    return HandObservation(right, presence, OPEN_HAND * size + [u, 0], affine, np.eye(3), np.eye(3), False, None)


HANDS = st.lists(
    st.builds(hand, st.floats(0, 120), st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(0.7, 1.4)), max_size=5
)


def test_hands_are_the_same_if_their_joints_are_close():
    assert is_same_hand(hand(), hand(LIMIT - 0.1), THRESHOLDS)
    assert not is_same_hand(hand(), hand(LIMIT + 0.1), THRESHOLDS)


def test_palms_that_face_each_other_are_two_hands():
    """In the jitter sequence of the demo they are 0.35 hand sizes apart."""
    facing = [hand(), hand(0.35 * SIZE)]
    assert suppress_duplicates(facing, THRESHOLDS, 0.5) == facing
    assert suppress_duplicates(facing[1:], THRESHOLDS, 0.5, known=facing[:1]) == facing[1:]


def test_distances_are_relative_to_the_larger_hand():
    """Scaling a hand by 1.1 about its wrist moves each joint by a tenth of its distance to the wrist."""
    large = hand(size=1.1)
    distance = float(np.linalg.norm(0.1 * OPEN_HAND, axis=-1).mean())
    for factor, same in ((0.999, False), (1.001, True)):
        thresholds = Thresholds(duplicate_distance=factor * distance / large.size)
        assert is_same_hand(hand(), large, thresholds) is is_same_hand(large, hand(), thresholds) is same


def test_opposite_hands_with_the_same_box_are_different():
    one = hand()
    centre = (OPEN_HAND.min(0) + OPEN_HAND.max(0)) / 2
    other = HandObservation(0.9, 0.9, 2 * centre - OPEN_HAND, *(np.eye(3),) * 3, False, None)
    np.testing.assert_allclose(one.box, other.box)
    assert not is_same_hand(one, other, THRESHOLDS)


def test_the_duplicate_of_higher_presence_is_kept():
    weak, strong, elsewhere, absent = hand(2, 0.6), hand(0, 0.8), hand(100, 0.7), hand(200, 0.4)
    assert suppress_duplicates([weak, None, strong, absent, elsewhere], THRESHOLDS, 0.5) == [strong, elsewhere]


@given(hands=HANDS, presence=st.floats(0.1, 0.9))
def test_suppression_is_idempotent_and_removes_all_duplicates(hands, presence):
    kept = suppress_duplicates(hands, THRESHOLDS, presence)
    assert suppress_duplicates(kept, THRESHOLDS, presence) == kept
    assert all(one.presence >= presence for one in kept)
    for k, one in enumerate(kept):
        assert not any(is_same_hand(one, other, THRESHOLDS) for other in kept[k + 1 :])
    for one in hands:  # dropped only for a duplicate of at least equal presence
        if one.presence >= presence and one not in kept:
            assert any(is_same_hand(one, other, THRESHOLDS) and other.presence >= one.presence for other in kept)


@pytest.mark.parametrize(
    ("hands", "sides"),
    [
        ([], {}),
        ([(0.9, 0.8)], {Side.RIGHT: 0}),
        ([(0.9, 0.3)], {Side.LEFT: 0}),
        ([(0.9, 0.8), (0.9, 0.2)], {Side.RIGHT: 0, Side.LEFT: 1}),
        # Both look like right hands: 0.9 x 0.9 + 0.9 x 0.3 = 1.08 beats 0.9 x 0.7 + 0.9 x 0.1 = 0.72.
        ([(0.9, 0.7), (0.9, 0.9)], {Side.RIGHT: 1, Side.LEFT: 0}),
        # Presence is a weight: 0.4 x 0.9 + 0.9 x 0.4 = 0.72 beats 0.9 x 0.6 + 0.4 x 0.1 = 0.58.
        ([(0.4, 0.9), (0.9, 0.6)], {Side.RIGHT: 0, Side.LEFT: 1}),
        # Of three hands the two with the highest score.
        ([(0.5, 0.9), (0.9, 0.9), (0.8, 0.1)], {Side.RIGHT: 1, Side.LEFT: 2}),
        ([(0.0, 0.9)], {}),
    ],
)
def test_assignment_by_example(hands, sides):
    observations = [hand(100 * k, presence, right) for k, (presence, right) in enumerate(hands)]
    chosen = assign_sides(observations, THRESHOLDS)
    assert chosen == {side: observations[k] for side, k in sides.items()}
    assert list(chosen) == sorted(chosen)  # right first


@given(hands=HANDS)
def test_each_hand_gets_at_most_one_side_and_two_hands_get_both(hands):
    chosen = assign_sides(hands, THRESHOLDS)
    assert len({id(one) for one in chosen.values()}) == len(chosen) == min(len(hands), 2)
    assert all(one in hands for one in chosen.values())


def score(assignment: dict[Side, HandObservation]) -> float:
    return sum(one.presence * one.side_probability(side) for side, one in assignment.items())


@given(hands=HANDS)
def test_the_assignment_maximises_the_score(hands):
    best = score(assign_sides(hands, THRESHOLDS))
    for right, left in permutations(hands, 2):
        assert score({Side.RIGHT: right, Side.LEFT: left}) <= best + 1e-12


@given(hands=HANDS, seed=st.integers(0, 99))
def test_the_score_is_invariant_to_the_order_of_the_hands(hands, seed):
    order = np.random.default_rng(seed).permutation(len(hands))
    shuffled = [hands[k] for k in order]
    assert score(assign_sides(shuffled, THRESHOLDS)) == pytest.approx(score(assign_sides(hands, THRESHOLDS)))


@given(hands=HANDS)
def test_the_score_is_invariant_to_mirroring(hands):
    mirrored = [one.with_right_probability(1 - one.right_probability) for one in hands]
    assert score(assign_sides(mirrored, THRESHOLDS)) == pytest.approx(score(assign_sides(hands, THRESHOLDS)))


@pytest.mark.parametrize(("ratio", "kept"), [(0.41, "both"), (0.39, "first"), (2.45, "both"), (2.55, "second")])
def test_a_much_smaller_hand_is_dropped(ratio, kept):
    """Regardless of its presence."""
    first, second = hand(presence=0.95), hand(u=400, presence=0.8, right=0.1, size=ratio)
    sides = {Side.RIGHT: first} if kept == "first" else {Side.LEFT: second}
    chosen = assign_sides([first, second], THRESHOLDS)
    assert chosen == ({Side.RIGHT: first, Side.LEFT: second} if kept == "both" else sides)
