"""Grouping of hands by person, by example and by property."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scripted_engines import OPEN_HAND

from lgnet_core.inference.observation import HandObservation
from lgnet_core.inference.people import group_by_person
from lgnet_core.inference.thresholds import PEOPLE_RANGE, Thresholds
from lgnet_core.types import Side

THRESHOLDS = Thresholds(max_people=2)
CROP = 224.0  # pixels: side of the crop of a hand of size 1


def hand(u: float, side: Side, presence: float = 0.9, size: float = 1.0) -> HandObservation:
    """A hand ``u`` sides of its crop to the right."""
    affine = np.array([[1 / size, 0, 0], [0, 1 / size, 0]])
    right = 0.9 if side is Side.RIGHT else 0.1
    mirrored = side is Side.LEFT
    return HandObservation(
        right, presence, OPEN_HAND * size + [u * CROP, 0], affine, np.eye(3), np.eye(3), mirrored, None
    )


def test_people_side_by_side_keep_their_own_hands():
    """The left hand of the first is nearer to the right hand of the second than to the first one's own."""
    first, second = (hand(0, Side.RIGHT), hand(2, Side.LEFT)), (hand(3, Side.RIGHT), hand(5, Side.LEFT))
    people = group_by_person([*first, *second], THRESHOLDS, {})
    pairs = {frozenset(pair.values()) for pair in people.values()}
    assert pairs == {frozenset(first), frozenset(second)}


def test_distant_hands_are_two_persons():
    limit = THRESHOLDS.max_hand_distance
    for distance, count in ((limit - 0.1, 1), (limit + 0.1, 2)):
        people = group_by_person([hand(0, Side.RIGHT), hand(distance, Side.LEFT)], THRESHOLDS, {})
        assert len(people) == count


def test_hands_of_very_different_size_are_two_persons():
    for size, count in ((1.05 * THRESHOLDS.min_size_ratio, 1), (0.95 * THRESHOLDS.min_size_ratio, 2)):
        people = group_by_person([hand(0, Side.RIGHT), hand(1, Side.LEFT, size=size)], THRESHOLDS, {})
        assert len(people) == count


def test_tracked_hands_stay_with_their_person_however_near_others_are():
    far_right, near_right, left = hand(0, Side.RIGHT), hand(4, Side.RIGHT), hand(5, Side.LEFT)
    people = group_by_person([far_right, near_right, left], THRESHOLDS, {far_right: 1, left: 1})
    assert people == {0: {Side.RIGHT: near_right}, 1: {Side.RIGHT: far_right, Side.LEFT: left}}


def test_a_new_hand_joins_the_person_that_lacks_it():
    right, left = hand(0, Side.RIGHT), hand(2, Side.LEFT)
    assert group_by_person([right, left], THRESHOLDS, {right: 1}) == {1: {Side.RIGHT: right, Side.LEFT: left}}


def test_two_known_people_with_one_hand_each_remain_two():
    right, left = hand(0, Side.RIGHT), hand(1, Side.LEFT)
    assert group_by_person([right, left], THRESHOLDS, {right: 0, left: 1}) == {
        0: {Side.RIGHT: right},
        1: {Side.LEFT: left},
    }


def test_too_many_people_the_tracked_then_the_most_present_remain():
    tracked, sure, unsure = hand(0, Side.RIGHT, 0.6), hand(20, Side.RIGHT, 0.9), hand(40, Side.RIGHT, 0.8)
    assert group_by_person([unsure, sure, tracked], THRESHOLDS, {tracked: 1}) == {
        0: {Side.RIGHT: sure},
        1: {Side.RIGHT: tracked},
    }


def test_indices_beyond_the_number_of_people_are_given_anew():
    only = hand(0, Side.LEFT)
    assert group_by_person([only], THRESHOLDS, {only: 3}) == {0: {Side.LEFT: only}}


HANDS = st.lists(
    st.builds(hand, st.floats(0, 20), st.sampled_from(list(Side)), st.floats(0.5, 0.99), st.floats(0.3, 1.5)),
    max_size=6,
)


@given(HANDS, st.integers(2, PEOPLE_RANGE[1]), st.data())
def test_each_person_has_hands_of_their_side_and_no_hand_is_two_persons(hands, max_people, data):
    thresholds = Thresholds(max_people=max_people)
    known = {each: data.draw(st.integers(0, max_people - 1)) for each in hands if data.draw(st.booleans())}
    people = group_by_person(hands, thresholds, known)
    assert list(people) == sorted(people)
    assert set(people) <= set(range(max_people))
    grouped = [each for pair in people.values() for each in pair.values()]
    assert len(grouped) == len({id(each) for each in grouped})
    assert all(each.side is side for pair in people.values() for side, each in pair.items())
    assert all(pair for pair in people.values())
    if len(hands) <= max_people:
        assert {id(each) for each in grouped} == {id(each) for each in hands}
    slots = {(person, each.side) for each, person in known.items()}
    for person, side in slots:  # a known person's hand is that person's
        assert known.get(people[person][side]) == person


@pytest.mark.parametrize("count", [0, 5])
def test_number_of_people_is_checked(count):
    with pytest.raises(ValueError, match=f"max_people: expected 1 to 4, got {count}"):
        Thresholds(max_people=count)
