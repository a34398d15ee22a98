"""Hands to people: which right and which left hand are one person's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

from lgnet_core.inference.observation import HandObservation
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.types import Side

People = dict[int, dict[Side, HandObservation]]
"""The observed hands of each person, by the person's index."""


def group_by_person(
    hands: Sequence[HandObservation], thresholds: Thresholds, known: Mapping[HandObservation, int]
) -> People:
    """Group hands into at most ``thresholds.max_people`` pairs of a right and a left hand.

    The side of a hand is the more probable one. Tracked hands stay with their person. Of the others, those pairs are
    one person's whose distances have the least sum; hands too far apart (``thresholds.max_hand_distance``) or too
    different in size (``thresholds.min_size_ratio``) are two persons'. A new person gets the lowest index that is free.
    If there are too many, tracked hands come first, then the most present ones.

    Args:
        hands: without duplicates.
        known: persons of the tracked hands.
    """
    people: People = {}
    new: list[HandObservation] = []
    for hand in sorted(hands, key=lambda hand: (hand not in known, -hand.presence)):
        person = known.get(hand)
        if person is None or person >= thresholds.max_people or hand.side in people.get(person, {}):
            new.append(hand)
        else:
            people.setdefault(person, {})[hand.side] = hand
    # People with both hands are complete; those with a single hand take part in the matching.
    single = {next(iter(pair.values())): person for person, pair in people.items() if len(pair) == 1}
    right, left = ([hand for hand in (*single, *new) if hand.side is side][: thresholds.max_people] for side in Side)
    for pair in sorted(_match(right, left, single, thresholds), key=lambda pair: -max(hand.presence for hand in pair)):
        person = next((single[hand] for hand in pair if hand in single), None)
        if person is None:
            person = next((k for k in range(thresholds.max_people) if k not in people), None)
        if person is not None:
            people[person] = {hand.side: hand for hand in pair}
    return dict(sorted(people.items()))


def _match(
    right: Sequence[HandObservation],
    left: Sequence[HandObservation],
    single: Mapping[HandObservation, int],
    thresholds: Thresholds,
) -> list[tuple[HandObservation, ...]]:
    """Pairs and hands that stay alone, with the least sum of distances; two hands alone cost the largest distance."""
    alone = len(left)
    costs = np.full((len(right), len(left) + 1), thresholds.max_hand_distance)
    for i, a in enumerate(right):
        for j, b in enumerate(left):
            if a in single and b in single:  # of two people
                costs[i, j] = np.inf
            else:
                costs[i, j] = _distance(a, b, thresholds)
    best, best_cost = (alone,) * len(right), np.inf
    for partners in product(range(alone + 1), repeat=len(right)):
        taken = [j for j in partners if j != alone]
        cost = costs[range(len(right)), partners].sum()
        if len(set(taken)) == len(taken) and cost < best_cost:
            best, best_cost = partners, cost
    pairs: list[tuple[HandObservation, ...]] = [
        (hand,) if j == alone else (hand, left[j]) for hand, j in zip(right, best)
    ]
    return pairs + [(hand,) for j, hand in enumerate(left) if j not in best]


def _distance(a: HandObservation, b: HandObservation, thresholds: Thresholds) -> float:
    """Distance of two hands in sides of their crops; infinite if their sizes cannot be one person's."""
    sides = sorted((a.crop_side, b.crop_side))
    if sides[0] < thresholds.min_size_ratio * sides[1]:
        return float("inf")
    return float(np.linalg.norm(a.joints.mean(0) - b.joints.mean(0))) / (sum(sides) / 2)
