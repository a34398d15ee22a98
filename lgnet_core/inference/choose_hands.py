"""Which crop shows which hand, from what the network says of all of them and what the detector saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from lgnet_core.inference.regions import Region, overlap
from lgnet_core.types import FloatArray, Side

EVIDENCE = 0.08
"""Least product of the network's presence, the detector's confidence and the overlap of what the two saw for a hand to
be believed. The network alone draws hands into most crops that show none."""

SURENESS = 0.5
"""What the network's presence weighs in a choice, beside the overlap with where hands were expected."""

TOGETHERNESS = 0.1
"""What two hands of one crop are worth more than two of different ones: they are drawn as they lie to each other."""

CROWDING = 0.5
"""What the overlap of two hands of different crops costs, which may be one hand seen twice."""

CONTRADICTION = 0.5
"""What it costs to give a hand the other side than the network does."""

SAME_PLACE = 0.5
"""Intersection over union from which on two crops show a hand alike."""


class ChosenHand(NamedTuple):
    """A side that is seen, the crop that shows it, and which hand the network took it for there."""

    side: Side
    crop: int
    slot: Side


class _Sight(NamedTuple):
    """A hand as the network draws it in a crop: its box (4,), and that box's overlap with each expected one (N,)."""

    region: Region
    crop: int
    slot: Side
    presence: float
    box: FloatArray
    overlaps: FloatArray


_Choice = dict[Side, _Sight]


def choose_hands(
    regions: Sequence[Region], presence: FloatArray, boxes: FloatArray, threshold: float
) -> list[ChosenHand]:
    """Each side that is seen, right first.

    A picture has one right and one left hand, of one person. Of all hands in all crops that are sure enough and that
    the detector supports, those one or two are chosen that lie best where hands are expected: where the detector saw
    them, or in a region that no detector gave. Of two that the network takes for the same hand the surer is that, and
    the other one the other hand.

    Args:
        presence: of each hand in each crop, in the order of :meth:`HandEstimator.cut`.
        boxes: of these hands, pixels of the picture.
        threshold: presence from which on a hand is seen.

    Shapes:
        presence: (N, 2); boxes: (N, 2, 4).
    """
    expected = [box for region in regions for box in region.expected]
    views = [view for region in regions for view, _ in region.views]
    sights = []
    for k, region in enumerate(views):
        for slot in Side:
            sure, box = float(presence[k, slot]), boxes[k, slot]
            if sure >= threshold and _supported(region, sure, box):
                overlaps = np.array([overlap(box, other) for other in expected])
                sights.append(_Sight(region, k, slot, sure, box, overlaps))
    best = max(_choices(sights), key=_worth, default={})
    return [ChosenHand(side, best[side].crop, best[side].slot) for side in Side if side in best]


def crop_of_both(chosen: Sequence[ChosenHand], presence: FloatArray, boxes: FloatArray, threshold: float) -> int | None:
    """The crop in which the network sees both chosen hands most nearly where they were chosen, if there is one.

    Only such a crop tells how two hands lie to each other; they may have been chosen from others.

    Args, Shapes: see :func:`choose_hands`.
    """
    if len(chosen) < 2:
        return None

    def likeness(crop: int) -> float:
        return min(overlap(boxes[crop, hand.side], boxes[hand.crop, hand.slot]) for hand in chosen)

    crops = [k for k in range(len(presence)) if min(presence[k]) >= threshold and likeness(k) >= SAME_PLACE]
    return max(crops, key=likeness, default=None)


def _supported(region: Region, presence: float, box: FloatArray) -> bool:
    """Whether the detector saw about the same; nothing is against a hand where none was asked."""
    support = (hand.score * overlap(hand.box, box) for hand in region.detected)
    return presence * max(support, default=1.0) >= EVIDENCE


def _choices(sights: Sequence[_Sight]) -> Iterator[_Choice]:
    """One hand or two, each of a side that its region is looked at for."""
    for sight in sights:
        if sight.slot in sight.region.sides:
            yield {sight.slot: sight}
    for pair in combinations(sights, 2):
        surer, other = sorted(pair, key=lambda sight: sight.presence, reverse=True)
        side = surer.slot.other
        if surer.slot in surer.region.sides and side in other.region.sides:
            yield {surer.slot: surer, side: other}


def _worth(choice: _Choice) -> float:
    chosen = list(choice.values())
    worth = float(np.max([sight.overlaps for sight in chosen], axis=0).sum())
    worth += SURENESS * sum(sight.presence for sight in chosen)
    worth -= CONTRADICTION * sum(sight.slot is not side for side, sight in choice.items())
    for a, b in combinations(chosen, 2):
        worth += TOGETHERNESS if a.crop == b.crop else -CROWDING * overlap(a.box, b.box)
    return worth
