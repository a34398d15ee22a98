"""Which crop shows which hand, from what the network says of all of them."""

from __future__ import annotations

from collections.abc import Sequence

from lgnet_core.inference.regions import Region, box_of_hand, gap
from lgnet_core.types import FloatArray, Side


def choose_hands(
    regions: Sequence[Region], presence: FloatArray, pixels: FloatArray, threshold: float
) -> list[tuple[Side, int, Side]]:
    """For each side that is seen, right first, the crop that shows it, and which hand the network took it for.

    A picture has one right and one left hand, of one person. Where the network takes two hands that are clear of
    each other for the same one, the surer is that, and the other one the other hand.

    Args:
        presence: of each hand in each crop, in the order of :meth:`HandEstimator.cut`. pixels: joints in the picture.
        threshold: presence from which on a hand is seen.

    Shapes:
        presence: (N, 2); pixels: (N, 2, 21, 2).
    """
    crops_of = _surest_looks(regions, presence)

    def surest(side: Side, slot: Side, clear_of: FloatArray | None = None) -> int | None:
        seen = [
            crop
            for crop, region in zip(crops_of, regions)
            if side in region.sides
            and presence[crop, slot] >= threshold
            and (clear_of is None or gap(clear_of, box_of_hand(pixels[crop, slot])) > 0)
        ]
        return max(seen, key=lambda crop: float(presence[crop, slot]), default=None)

    chosen = {side: (crop, side) for side in Side if (crop := surest(side, side)) is not None}
    if len(chosen) == 1:
        ((side, (crop, _)),) = chosen.items()
        other = surest(side.other, side, clear_of=box_of_hand(pixels[crop, side]))
        if other is not None:
            chosen[side.other] = (other, side)
    return [(side, *chosen[side]) for side in Side if side in chosen]


def _surest_looks(regions: Sequence[Region], presence: FloatArray) -> list[int]:
    """Of the crops of each region, that of the highest presence of a side that is looked for.

    Shapes:
        presence: (N, 2) of all crops, in the order of :meth:`HandEstimator.cut`.
    """
    surest, first = [], 0
    for region in regions:
        end = first + len(region.looks)
        surest.append(first + int(presence[first:end, list(region.sides)].max(1).argmax()))
        first = end
    return surest
