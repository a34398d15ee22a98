"""Which observations are one hand, and which of the hands is the right one and which the left."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from lgnet_core.inference.observation import HandObservation
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.types import Side


def same_hand(a: HandObservation, b: HandObservation, thresholds: Thresholds) -> bool:
    """Whether two observations are of one hand: their joints lie near each other, one by one."""
    distance = float(np.linalg.norm(a.joints - b.joints, axis=-1).mean())
    return distance < thresholds.same_hand * max(a.size, b.size)


def suppress_duplicates(
    observations: Sequence[HandObservation | None], thresholds: Thresholds, presence: float
) -> list[HandObservation]:
    """The observations that are hands, the surer first, each hand once.

    Args:
        observations: None where nothing usable was seen. presence: probability from which on one is a hand.
    """
    hands = [hand for hand in observations if hand is not None and hand.presence >= presence]
    kept: list[HandObservation] = []
    for hand in sorted(hands, key=lambda hand: -hand.presence):
        if not any(same_hand(hand, other, thresholds) for other in kept):
            kept.append(hand)
    return kept


def assign_sides(hands: Sequence[HandObservation], thresholds: Thresholds) -> dict[Side, HandObservation]:
    """At most one right and one left hand: those whose presence times probability of the side adds up to the most.

    The hands are taken for one person's: of two that look like right ones, the less sure becomes the left one, and one
    that is far smaller than another (``thresholds.size_ratio``) is none.
    """
    largest = max((hand.crop_side for hand in hands), default=0.0)
    hands = [hand for hand in hands if hand.crop_side >= thresholds.size_ratio * largest]
    best: dict[Side, HandObservation] = {}
    most = 0.0
    places = [*range(len(hands)), None]
    for pair in product(places, repeat=2):
        if pair[0] == pair[1]:
            continue
        chosen = {side: hands[k] for side, k in zip(Side, pair) if k is not None}
        worth = sum(hand.presence * hand.side_probability(side) for side, hand in chosen.items())
        if worth > most:
            best, most = chosen, worth
    return best
