"""Which crop shows which hand, on hand-made cases: boxes of 100 pixels, beside each other or far away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lgnet_core.inference.choose_hands import (
    EVIDENCE,
    SAME_PLACE,
    TOGETHERNESS,
    ChosenHand,
    choose_hands,
    crop_of_both,
)
from lgnet_core.inference.regions import Detected, Region
from lgnet_core.types import Side

HERE, BESIDE, THERE, ELSEWHERE = (np.array([u, 100.0, u + 100, 200.0]) for u in (0, 160, 300, 600))
BOTH = tuple(Side)


def moved(box: np.ndarray, share: float) -> np.ndarray:
    """Aside by a share of its width."""
    return box + np.array([100 * share, 0, 100 * share, 0])


def saw(box: np.ndarray, score: float = 0.9, looks: tuple[float, ...] = (1.0,)) -> Region:
    """Where a detector saw a hand."""
    return Region(box, BOTH, looks=looks, detected=(Detected(box, score),))


def test_the_look_whose_hand_lies_where_the_detector_saw_it_counts() -> None:
    """Though the network is surer in the other one."""
    region = saw(HERE, looks=(1.0, 1.2))
    boxes = np.array([[moved(HERE, 0.6)] * 2, [moved(HERE, 0.1)] * 2])
    assert choose_hands([region], np.array([[0.99, 0.1], [0.8, 0.1]]), boxes, 0.5) == [(Side.RIGHT, 1, Side.RIGHT)]


@pytest.mark.parametrize(
    ("presence", "crop"),
    [
        ([[0.9, 0.1], [0.6, 0.2]], 0),
        ([[0.6, 0.2], [0.9, 0.1]], 1),
        ([[0.6, 0.1], [0.6, 0.1]], 0),  # the first of equal ones
        ([[0.79, 0.79], [0.8, 0.49]], 0),  # two hands are more than one
        ([[0.6, 0.4], [0.55, 0.55]], 1),
    ],
)
def test_of_looks_that_agree_alike_the_surer_one_counts(presence: list[list[float]], crop: int) -> None:
    boxes = np.array([[HERE, HERE]] * 2)
    for region in (saw(HERE, looks=(1.0, 1.2)), Region(HERE, BOTH, looks=(1.0, 1.2))):
        assert {k for _, k, _ in choose_hands([region], np.array(presence), boxes, 0.5)} == {crop}


@given(seed=st.integers(0, 10_000), count=st.integers(1, 3), detected=st.booleans())
def test_mirrored_hands_are_chosen_alike(seed: int, count: int, detected: bool) -> None:
    """What is taken for right and for left exchanged, and the sides that are looked for: so are the chosen ones."""
    rng = np.random.default_rng(seed)
    at = np.concatenate([rng.uniform(0, 300, (count, 1)), np.full((count, 1), 100.0)], 1)
    wanted = [[BOTH, (Side.RIGHT,), (Side.LEFT,)][k] for k in rng.integers(0, 3, count)]
    regions = [
        Region(box, sides, looks=(1.0, 1.2), detected=(Detected(box, rng.uniform(0.2, 1)),) if detected else ())
        for box, sides in zip(np.concatenate([at, at + 100], 1), wanted)
    ]
    presence = rng.uniform(0.3, 1, (2 * count, 2))
    boxes = np.concatenate([at, at + 100], 1).repeat(2, 0)[:, None] + rng.normal(0, 30, (2 * count, 2, 1))
    mirrored = [replace(region, sides=tuple(side.other for side in region.sides)) for region in regions]
    chosen = choose_hands(regions, presence, boxes, 0.5)
    assert len({side for side, _, _ in chosen}) == len(chosen)
    assert all(presence[crop, slot] >= 0.5 for _, crop, slot in chosen)
    assert set(choose_hands(mirrored, presence[:, ::-1], boxes[:, ::-1], 0.5)) == {
        (side.other, crop, slot.other) for side, crop, slot in chosen
    }


def pair(looks: tuple[float, ...] = (1.0,)) -> Region:
    """Where a detector saw two hands near each other: the crops are the looks, then the right one, then the left."""
    seen = Detected(HERE, 0.9), Detected(BESIDE, 0.5)
    return Region(np.array([0.0, 100, 260, 200]), BOTH, looks=looks, detected=seen)


def test_a_look_that_finds_both_hands_that_the_detector_saw_is_the_better_one() -> None:
    once, other = moved(HERE, 0.1), moved(BESIDE, 0.05)
    boxes = np.array([[once, once], [moved(HERE, 0.05), other], [HERE, HERE], [BESIDE, BESIDE]])
    presence = np.array([[0.9, 0.9], [0.8, 0.8], [0, 0], [0, 0]])  # the first draws one hand twice
    chosen = choose_hands([pair((1.0, 1.2))], presence, boxes, 0.5)
    assert chosen == [(Side.RIGHT, 1, Side.RIGHT), (Side.LEFT, 1, Side.LEFT)]


@pytest.mark.parametrize("margin", [-0.02, 0.02])
def test_hands_of_one_crop_count_unless_others_agree_clearly_better(margin: float) -> None:
    """Moved by a share s of its width a box overlaps by (1 - s) / (1 + s)."""
    overlap = 1 - TOGETHERNESS - margin
    boxes = np.array([[HERE, moved(BESIDE, (1 - overlap) / (1 + overlap))], [HERE, BESIDE], [HERE, BESIDE]])
    chosen = choose_hands([pair()], np.array([[0.9, 0.9], [0.1, 0.1], [0.1, 0.9]]), boxes, 0.5)
    assert chosen == [(Side.RIGHT, 0, Side.RIGHT), (Side.LEFT, 2 if margin > 0 else 0, Side.LEFT)]


def test_a_hand_looked_at_alone_is_not_believed_for_the_one_beside_it() -> None:
    """The crop of the right hand shows the left one too, surer than its own does."""
    boxes = np.array([[ELSEWHERE] * 2, [HERE, BESIDE], [HERE, BESIDE]])
    chosen = choose_hands([pair()], np.array([[0.9, 0.9], [0.9, 0.99], [0.1, 0.6]]), boxes, 0.5)
    assert chosen == [(Side.RIGHT, 1, Side.RIGHT), (Side.LEFT, 2, Side.LEFT)]


def test_hands_looked_at_one_by_one_can_be_taken_for_the_same_one() -> None:
    boxes = np.array([[moved(HERE, 0.5), BESIDE], [HERE, HERE], [BESIDE, BESIDE]])
    presence = np.array([[0.9, 0.1], [0.9, 0.1], [0.8, 0.1]])
    assert choose_hands([pair()], presence, boxes, 0.5) == [(Side.RIGHT, 1, Side.RIGHT), (Side.LEFT, 2, Side.RIGHT)]


def test_the_crops_of_hands_one_by_one_are_no_other_regions() -> None:
    boxes = np.array([[HERE, BESIDE], [HERE, BESIDE], [HERE, BESIDE], [ELSEWHERE, ELSEWHERE]])
    presence = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.1], [0.1, 0.8]])
    chosen = choose_hands([pair(), saw(ELSEWHERE)], presence, boxes, 0.5)
    assert chosen == [(Side.RIGHT, 0, Side.RIGHT), (Side.LEFT, 3, Side.LEFT)]


@pytest.mark.parametrize("part", [0.9, 1.1])
def test_a_hand_needs_the_detectors_support(part: float) -> None:
    """Presence, confidence and overlap together decide."""
    overlap = 1 / 3  # of boxes that are moved by half a width
    score = part * EVIDENCE / (0.8 * overlap)
    chosen = choose_hands([saw(HERE, score)], np.array([[0.8, 0.1]]), np.array([[moved(HERE, 0.5)] * 2]), 0.5)
    assert bool(chosen) == (part > 1)


def test_where_no_detector_was_asked_presence_alone_decides() -> None:
    region = Region(HERE, (Side.RIGHT,))
    for presence, seen in ((0.49, False), (0.51, True)):
        assert bool(choose_hands([region], np.array([[presence, 0.9]]), np.array([[ELSEWHERE] * 2]), 0.5)) == seen


@pytest.mark.parametrize("taken", Side)
def test_of_two_hands_taken_for_the_same_one_the_less_sure_is_the_other(taken: Side) -> None:
    presence = np.full((2, 2), 0.1)
    presence[:, taken] = 0.8, 0.9
    boxes = np.array([[HERE, HERE], [THERE, THERE]])
    chosen = choose_hands([saw(HERE), saw(THERE)], presence, boxes, 0.5)
    assert sorted(chosen) == sorted([(taken, 1, taken), (taken.other, 0, taken)])
    assert [side for side, _, _ in chosen] == [Side.RIGHT, Side.LEFT]


def test_the_other_hand_needs_support_too() -> None:
    boxes = np.array([[HERE, HERE], [THERE, THERE]])
    presence = np.array([[0.9, 0.1], [0.8, 0.1]])
    assert len(choose_hands([saw(HERE), saw(moved(THERE, 0.9), 0.5)], presence, boxes, 0.5)) == 1


def test_a_hand_drawn_as_both_sides_is_the_one_that_the_other_hand_is_not() -> None:
    presence = np.array([[0.9, 0.6], [0.8, 0.1]])
    chosen = choose_hands([saw(HERE), saw(THERE)], presence, np.array([[HERE] * 2, [THERE] * 2]), 0.5)
    assert chosen == [(Side.RIGHT, 1, Side.RIGHT), (Side.LEFT, 0, Side.LEFT)]


@pytest.mark.parametrize("sure", [0.6, 0.9])
def test_a_hand_keeps_the_side_that_the_network_sees_if_that_explains_as_much(sure: float) -> None:
    presence = np.array([[0.9, 0.1], [0.95, sure]])
    chosen = choose_hands([saw(HERE), saw(THERE)], presence, np.array([[HERE] * 2, [THERE] * 2]), 0.5)
    assert chosen == [(Side.RIGHT, 0, Side.RIGHT), (Side.LEFT, 1, Side.LEFT)]


@pytest.mark.parametrize(("share", "seen"), [(0.0, 1), (0.9, 2)])
def test_one_hand_that_two_crops_show_is_not_two(share: float, seen: int) -> None:
    """Drawn about where the left one is expected, it is."""
    regions = [Region(HERE, (Side.RIGHT,)), Region(moved(HERE, 0.9), (Side.LEFT,))]
    boxes = np.array([[HERE] * 2, [moved(HERE, share)] * 2])
    assert len(choose_hands(regions, np.array([[0.9, 0.1], [0.1, 0.8]]), boxes, 0.5)) == seen


def test_a_region_in_which_only_the_other_side_is_looked_for_chooses_by_all_that_is_seen() -> None:
    """A left hand is looked for, and taken for a right one: in the second look it is seen, in the first it is not."""
    regions = [Region(HERE, (Side.RIGHT,)), Region(THERE, (Side.LEFT,), looks=(1.0, 1.2))]
    presence = np.array([[0.9, 0.1], [0.4, 0.3], [0.8, 0.2]])
    boxes = np.array([[HERE, HERE], [THERE, THERE], [THERE, THERE]])
    assert choose_hands(regions, presence, boxes, 0.5) == [(Side.RIGHT, 0, Side.RIGHT), (Side.LEFT, 2, Side.RIGHT)]


def test_a_third_box_serves_where_one_of_the_first_shows_none() -> None:
    regions = [saw(HERE, 0.9), saw(THERE, 0.3), saw(ELSEWHERE, 0.28)]
    presence = np.array([[0.9, 0.1], [0.2, 0.3], [0.1, 0.95]])
    boxes = np.array([[box, box] for box in (HERE, THERE, ELSEWHERE)])
    assert choose_hands(regions, presence, boxes, 0.5) == [(Side.RIGHT, 0, Side.RIGHT), (Side.LEFT, 2, Side.LEFT)]


def test_the_crop_of_both_hands_shows_them_most_nearly_where_they_were_chosen() -> None:
    """Whichever they were chosen from; a hand that was given the other side is looked for as that."""
    boxes = np.array(
        [
            [moved(HERE, 0.2), THERE],
            [HERE, moved(THERE, 0.1)],
            [HERE, ELSEWHERE],
            [ELSEWHERE, THERE],
            [THERE, ELSEWHERE],
        ]
    )
    presence = np.full((5, 2), 0.9)
    for left in (ChosenHand(Side.LEFT, 3, Side.LEFT), ChosenHand(Side.LEFT, 4, Side.RIGHT)):
        chosen = [ChosenHand(Side.RIGHT, 2, Side.RIGHT), left]
        assert crop_of_both(chosen, presence, boxes, 0.5) == 1
        assert crop_of_both(chosen[:1], presence, boxes, 0.5) is None
        assert crop_of_both(chosen, np.where(np.arange(5) == 1, [[0.9], [0.4]], 0.9).T, boxes, 0.5) == 0


@pytest.mark.parametrize("margin", [-0.02, 0.02])
def test_a_crop_that_shows_the_hands_elsewhere_is_none_of_both(margin: float) -> None:
    overlap = SAME_PLACE + margin
    boxes = np.array([[HERE, moved(THERE, (1 - overlap) / (1 + overlap))], [HERE, HERE], [THERE, THERE]])
    chosen = [ChosenHand(Side.RIGHT, 1, Side.RIGHT), ChosenHand(Side.LEFT, 2, Side.LEFT)]
    assert crop_of_both(chosen, np.full((3, 2), 0.9), boxes, 0.5) == (0 if margin > 0 else None)
