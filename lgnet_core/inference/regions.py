"""Where hands are in a picture, and which of them share a crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from lgnet_core.camera import box_of_points, square_crop
from lgnet_core.types import FloatArray, Side

CROP_MARGIN = 1.25  # crop side over the box's longer side: the mean of training's
SMALLEST_BOX = 8.0  # pixels
UNSURE = 1.2
"""What is looked at for a hand that was just seen, over its box. An unsure network draws the joints together; crops cut
around them as they are would be tighter than training's, and lose hands (the model card has figures)."""
SKIN = 0.05  # of the longer side of the joints' box: how far a hand reaches beyond it on every side


class Detected(NamedTuple):
    """A hand as a detector saw it: its box (4,), pixels of the picture, and the detector's confidence in [0, 1]."""

    box: FloatArray
    score: float


@dataclass(frozen=True, eq=False)
class Region:
    """A place in the picture that holds one hand, or two hands near each other.

    Args:
        box: (4,) left, top, right, bottom of the hands, pixels of the picture; it may reach beyond it.
        sides: the hands looked for here.
        rotation: radians by which the picture is turned for the crop (clockwise as seen).
        looks: sizes of the crops that are cut around the box, over the usual one.
        detected: the hands that a detector saw here: the network's are believed only where they are about the same.
            Several hands are also looked at one by one. Empty: the region says nothing but where to look.

    Raises:
        ValueError: if there is no side or no size to look for.
    """

    box: FloatArray
    sides: tuple[Side, ...]
    rotation: float = 0.0
    looks: tuple[float, ...] = (1.0,)
    detected: tuple[Detected, ...] = ()

    def __post_init__(self) -> None:
        if not self.sides:
            raise ValueError("Region.sides: expected at least one side to look for; leave the region out instead")
        if not self.looks or min(self.looks) <= 0:
            raise ValueError(f"Region.looks: expected at least one size, each above 0, got {self.looks}")

    @property
    def expected(self) -> tuple[FloatArray, ...]:
        """Boxes (4,) in which hands are expected: the detected ones, or the region's own."""
        return tuple(hand.box for hand in self.detected) or (self.box,)

    @property
    def views(self) -> list[tuple[Region, float]]:
        """What the network looks at, and how large over the usual size: each look, then several hands one by one."""
        views = [(self, look) for look in self.looks]
        if len(self.detected) > 1:
            views += [(replace(self, box=hand.box, detected=(hand,)), UNSURE) for hand in self.detected]
        return views

    def crops(self, size: int) -> FloatArray:
        """(N, 2, 3) affines, as :meth:`crop`, of the :attr:`views`."""
        return np.stack([region.crop(size, CROP_MARGIN * look) for region, look in self.views])

    def crop(self, size: int, margin: float = CROP_MARGIN) -> FloatArray:
        """(2, 3) affine, pixels of the picture -> pixels of a square crop around the box."""
        box = np.asarray(self.box, np.float64)
        centre, half = (box[:2] + box[2:]) / 2, np.maximum((box[2:] - box[:2]) / 2, SMALLEST_BOX / 2)
        return square_crop(np.concatenate([centre - half, centre + half]), size, margin, self.rotation)


def length(box: FloatArray) -> float:
    """The longer side of a box (4,), pixels."""
    return float(max(box[2] - box[0], box[3] - box[1]))


def box_of_hand(joints: FloatArray) -> FloatArray:
    """(4,) box of a hand around its joints (21, 2), pixels."""
    box = box_of_points(joints)
    skin = SKIN * length(box)
    return box + np.array([-skin, -skin, skin, skin])


def box_to_follow(box: FloatArray) -> FloatArray:
    """(4,) box to look at for a hand that the network saw in ``box`` (4,)."""
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    return np.concatenate([centre - UNSURE * half, centre + UNSURE * half])


def around(boxes: Sequence[FloatArray]) -> FloatArray:
    """(4,) the box that holds all boxes."""
    return np.concatenate([np.min([box[:2] for box in boxes], 0), np.max([box[2:] for box in boxes], 0)])


def hand_width(box: FloatArray) -> float:
    """About one hand's width, pixels: half the longer side of its box, the rule that training's crops follow."""
    return length(box) / 2


def gap(a: FloatArray, b: FloatArray) -> float:
    """Empty pixels between two boxes along the axis that parts them further; 0 if they overlap."""
    apart = np.maximum(np.asarray(a)[:2] - np.asarray(b)[2:], np.asarray(b)[:2] - np.asarray(a)[2:])
    return float(max(apart.max(), 0.0))


def overlap(a: FloatArray, b: FloatArray) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    low, high = np.maximum(np.asarray(a)[:2], np.asarray(b)[:2]), np.minimum(np.asarray(a)[2:], np.asarray(b)[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    both = sum(float(np.prod(np.asarray(box)[2:] - np.asarray(box)[:2])) for box in (a, b))
    return shared / max(both - shared, 1e-9)


def share_crops(regions: Sequence[Region]) -> list[Region]:
    """One region around both hands unless they are further apart than about one hand's width.

    Two hands in one crop are modelled jointly; two hands 30 cm apart would leave each a few cells of the 8x8 map.

    Args:
        regions: of one hand each, whose sides are known or open (both are looked for); anything but such a pair is
            returned unchanged.
    """
    if len(regions) != 2 or {r.sides for r in regions} not in ({(Side.RIGHT,), (Side.LEFT,)}, {tuple(Side)}):
        return list(regions)
    first, second = regions
    width = (hand_width(first.box) + hand_width(second.box)) / 2
    if first.rotation != second.rotation or gap(first.box, second.box) > width:
        return list(regions)
    box = around([first.box, second.box])
    looks = tuple(sorted({*first.looks, *second.looks}))
    return [Region(box, (Side.RIGHT, Side.LEFT), first.rotation, looks, first.detected + second.detected)]
