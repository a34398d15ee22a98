"""Association: duplicate suppression, and the assignment of observations to people and sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

from lgnet_core.inference.context import ImageContext
from lgnet_core.inference.observation import HandObservation, HandObserver, crops_from_observations
from lgnet_core.inference.people import People, group_by_person
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.types import Side

NO_PEOPLE: Mapping[HandObservation, int] = {}


def is_same_hand(a: HandObservation, b: HandObservation, thresholds: Thresholds) -> bool:
    """Whether two observations show the same hand, by the mean distance of corresponding joints."""
    distance = float(np.linalg.norm(a.joints - b.joints, axis=-1).mean())
    return distance < thresholds.duplicate_distance * max(a.size, b.size)


def suppress_duplicates(
    observations: Sequence[HandObservation | None],
    thresholds: Thresholds,
    min_presence: float,
    known: Sequence[HandObservation] = (),
) -> list[HandObservation]:
    """Non-maximum suppression: each hand once, by descending presence.

    Args:
        observations: None is ignored.
        min_presence: observations with a lower presence are dropped.
        known: hands whose duplicates are dropped too.
    """
    hands = [hand for hand in observations if hand is not None and hand.presence >= min_presence]
    kept: list[HandObservation] = []
    for hand in sorted(hands, key=lambda hand: -hand.presence):
        if not any(is_same_hand(hand, other, thresholds) for other in (*known, *kept)):
            kept.append(hand)
    return kept


def assign_sides(hands: Sequence[HandObservation], thresholds: Thresholds) -> dict[Side, HandObservation]:
    """At most one right and one left hand: the assignment with the maximum sum of presence times side probability.

    All hands are one person's: of two that look like right hands, the less probable becomes the left one,
    and a hand that is much smaller than another (``thresholds.min_size_ratio``) is dropped.
    """
    max_side = max((hand.crop_side for hand in hands), default=0.0)
    hands = [hand for hand in hands if hand.crop_side >= thresholds.min_size_ratio * max_side]
    best: dict[Side, HandObservation] = {}
    best_score = 0.0
    choices = [*range(len(hands)), None]
    for right, left in product(choices, repeat=2):
        if right == left:
            continue
        assignment = {side: hands[k] for side, k in zip(Side, (right, left)) if k is not None}
        score = sum(hand.presence * hand.side_probability(side) for side, hand in assignment.items())
        if score > best_score:
            best, best_score = assignment, score
    return best


def associate(
    context: ImageContext,
    hands: Sequence[HandObservation],
    observer: HandObserver,
    known: Mapping[HandObservation, int] = NO_PEOPLE,
) -> People:
    """The hands of each person, each observed in a crop that is mirrored according to its side.

    A hand whose crop was mirrored for the other side is observed again; if it is not confirmed there, it is dropped.

    Args:
        hands: without duplicates.
        known: persons of the tracked hands; used with several people only.
    """
    thresholds = context.thresholds
    if thresholds.max_people == 1:
        people = {0: assign_sides(hands, thresholds)}
    else:
        people = group_by_person(hands, thresholds, known)
    wrongly_mirrored = {
        (person, side): hand
        for person, pair in people.items()
        for side, hand in pair.items()
        if hand.mirrored != (side is Side.LEFT)
    }
    if wrongly_mirrored:
        crops = crops_from_observations(list(wrongly_mirrored.values()), [side for _, side in wrongly_mirrored])
        for ((person, side), previous), hand in zip(wrongly_mirrored.items(), observer.observe(context, crops)):
            if hand is None or hand.presence < thresholds.presence or not is_same_hand(previous, hand, thresholds):
                del people[person][side]
            else:
                people[person][side] = hand.with_right_probability(previous.right_probability)
    return {person: pair for person, pair in people.items() if pair}
