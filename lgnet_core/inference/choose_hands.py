"""Which crop shows which hand, from what the network says of all of them and what the detector saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lgnet_core.inference.regions import Region, gap, overlap
from lgnet_core.types import FloatArray, Side

EVIDENCE = 0.08
"""Least product of the network's presence, the detector's confidence and the overlap of what the two saw for a hand to
be believed. The network alone draws hands into most crops that show none."""

SURENESS = 0.5
"""What the network's presence weighs beside the overlap with the detector's hands where looks are compared."""

TOGETHERNESS = 0.1
"""How much better hands that were looked at one by one must agree with the detector's than those that were looked at
together, which are drawn as they lie to each other."""


class _Look(NamedTuple):
    """What the network says of a crop of a region: the hands that it sees there, and their boxes (2, 4)."""

    region: Region
    crop: int
    presence: dict[Side, float]
    boxes: FloatArray

    def believed(self, slot: Side) -> bool:
        """Whether the detector supports this hand; nothing is against it where none was asked."""
        support = (hand.score * overlap(hand.box, self.boxes[slot]) for hand in self.region.detected)
        return self.presence.get(slot, 0.0) * max(support, default=1.0) >= EVIDENCE

    def likeness(self) -> float:
        """How well its hands lie on those of the detector, and how sure the network is of them."""
        overlaps = _agreement(self.region, [self.boxes[slot] for slot in self.presence])
        return overlaps + SURENESS * sum(self.presence.values())


def choose_hands(
    regions: Sequence[Region], presence: FloatArray, boxes: FloatArray, threshold: float
) -> list[tuple[Side, int, Side]]:
    """For each side that is seen, right first, the crop that shows it, and which hand the network took it for.

    Of the looks of one region that one counts in which the network's hands agree best with the detector's; hands that
    were also looked at one by one come from there if those agree clearly better. A picture has one right and one left
    hand, of one person. Where the network takes two hands that are clear of each other for the same one, the surer is
    that, and the other one the other hand.

    Args:
        presence: of each hand in each crop, in the order of :meth:`HandEstimator.cut`.
        boxes: of these hands, pixels of the picture.
        threshold: presence from which on a hand is seen.

    Shapes:
        presence: (N, 2); boxes: (N, 2, 4).
    """
    crops = iter(range(len(presence)))

    def best_look(region: Region) -> _Look:
        looks = []
        for _ in region.looks:
            k = next(crops)
            seen = {slot: float(presence[k, slot]) for slot in Side if presence[k, slot] >= threshold}
            looks.append(_Look(region, k, seen, boxes[k]))
        return max(looks, key=_Look.likeness)

    together: list[_Look] = []
    one_by_one: list[_Look] = []
    for region in regions:
        best = best_look(region)
        together.append(best)
        one_by_one += [best_look(hand) for hand in region.one_by_one] or [best]

    def agreement(chosen: dict[Side, tuple[_Look, Side]]) -> float:
        found = [look.boxes[slot] for look, slot in chosen.values()]
        return sum(_agreement(region, found) for region in regions)

    chosen, apart = _one_of_each_side(together), _one_of_each_side(one_by_one)
    if agreement(apart) > agreement(chosen) + TOGETHERNESS:
        chosen = apart
    return [(side, chosen[side][0].crop, chosen[side][1]) for side in Side if side in chosen]


def _one_of_each_side(looks: Sequence[_Look]) -> dict[Side, tuple[_Look, Side]]:
    """Which look shows a side, and which hand the network took it for."""

    def surest(side: Side, slot: Side, clear_of: FloatArray | None = None) -> _Look | None:
        seen = [
            look
            for look in looks
            if side in look.region.sides
            and look.believed(slot)
            and (clear_of is None or gap(clear_of, look.boxes[slot]) > 0)
        ]
        return max(seen, key=lambda look: look.presence[slot], default=None)

    chosen = {side: (look, side) for side in Side if (look := surest(side, side)) is not None}
    if len(chosen) == 1:
        ((side, (look, _)),) = chosen.items()
        other = surest(side.other, side, clear_of=look.boxes[side])
        if other is not None:
            chosen[side.other] = (other, side)
    return chosen


def _agreement(region: Region, boxes: Sequence[FloatArray]) -> float:
    """How well hands with these boxes (4,) lie on those of the detector: the sum of the overlaps of its hands."""
    return sum(max((overlap(box, hand.box) for box in boxes), default=0.0) for hand in region.detected)
