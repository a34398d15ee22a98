"""Which crop shows which hand, from what the network says of all of them and what the detector saw."""

from __future__ import annotations

from collections.abc import Sequence

from lgnet_core.inference.regions import Region, gap, overlap
from lgnet_core.types import FloatArray, Side

EVIDENCE = 0.08
"""Least product of the network's presence, the detector's confidence and the overlap of what the two saw for a hand to
be believed. The network alone draws hands into most crops that show none."""


def choose_hands(
    regions: Sequence[Region], presence: FloatArray, boxes: FloatArray, threshold: float
) -> list[tuple[Side, int, Side]]:
    """For each side that is seen, right first, the crop that shows it, and which hand the network took it for.

    Of the crops of one region that one counts in which the network's hands agree best with the detector's. A picture
    has one right and one left hand, of one person. Where the network takes two hands that are clear of each other for
    the same one, the surer is that, and the other one the other hand.

    Args:
        presence: of each hand in each crop, in the order of :meth:`HandEstimator.cut`.
        boxes: of these hands, pixels of the picture.
        threshold: presence from which on a hand is seen.

    Shapes:
        presence: (N, 2); boxes: (N, 2, 4).
    """
    crops_of, first = [], 0
    for region in regions:
        crops = range(first, first + len(region.looks))
        crops_of.append(max(crops, key=lambda crop: _agreement(region, presence[crop], boxes[crop], threshold)))
        first = crops.stop

    def surest(side: Side, slot: Side, clear_of: FloatArray | None = None) -> int | None:
        seen = [
            crop
            for crop, region in zip(crops_of, regions)
            if side in region.sides
            and presence[crop, slot] >= threshold
            and presence[crop, slot] * _support(region, boxes[crop, slot]) >= EVIDENCE
            and (clear_of is None or gap(clear_of, boxes[crop, slot]) > 0)
        ]
        return max(seen, key=lambda crop: float(presence[crop, slot]), default=None)

    chosen = {side: (crop, side) for side in Side if (crop := surest(side, side)) is not None}
    if len(chosen) == 1:
        ((side, (crop, _)),) = chosen.items()
        other = surest(side.other, side, clear_of=boxes[crop, side])
        if other is not None:
            chosen[side.other] = (other, side)
    return [(side, *chosen[side]) for side in Side if side in chosen]


def _agreement(region: Region, presence: FloatArray, boxes: FloatArray, threshold: float) -> float:
    """How sure the network is of the hands that it sees in a crop, and how well they lie on those of the detector.

    Shapes:
        presence: (2,); boxes: (2, 4).
    """
    seen = [slot for slot in Side if presence[slot] >= threshold]
    found = [max((overlap(boxes[slot], hand.box) for slot in seen), default=0.0) for hand in region.detected]
    return float(sum(found) + sum(presence[slot] for slot in seen))


def _support(region: Region, box: FloatArray) -> float:
    """What the detector says for a hand with this box (4,); nothing against it where no detector was asked."""
    return max((hand.score * overlap(hand.box, box) for hand in region.detected), default=1.0)
