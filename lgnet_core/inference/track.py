"""A hand that is followed: where it was, how it moves, and where to look next."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from lgnet_core.inference.regions import around, box_to_follow, hand_width, length, overlap
from lgnet_core.inference.smoothing import HandSmoother
from lgnet_core.types import FloatArray

SHRINKAGE = 0.2
"""Share of the way to a smaller size that a followed region goes in one picture."""

STEADINESS = 0.1
"""A followed region stays as it is until a side of it would move by more than this part of its longer side. Given
another crop a network says something else, which would move the next crop: a still hand would never come to rest."""

BELIEF = 0.3
"""Overlap (intersection over union) of a followed hand with where it was, moved on as it went, below which the network
is not believed: of two hands near each other it may draw one elsewhere in the crop of both."""


@dataclass(eq=False)
class Track:
    """A hand that is followed: its number, its box as last seen, what to look at around it and what was looked at last
    (pixels), how fast it moves (pixels per second)."""

    number: int
    box: FloatArray
    look: FloatArray
    region: FloatArray
    velocity: FloatArray = field(default_factory=lambda: np.zeros(2))
    smoother: HandSmoother | None = None

    @classmethod
    def of(cls, number: int, box: FloatArray) -> Track:
        """The track of a hand that was first seen in ``box`` (4,)."""
        look = box_to_follow(box)
        return cls(number, box, look, look)

    def went_on(self, box: FloatArray, interval: float) -> Track:
        """The track with the hand as it was seen ``interval`` seconds later.

        What is looked at grows at once and shrinks slowly: to cut a hand off costs more than to see around it, and
        regions that took every picture's word for the size would shrink with a network that sees hands too small.
        """
        look = box_to_follow(box)
        centre, half = (look[:2] + look[2:]) / 2, (look[2:] - look[:2]) / 2
        half = np.maximum(half, half + (1 - SHRINKAGE) * ((self.look[2:] - self.look[:2]) / 2 - half))
        moved = (box - self.box).reshape(2, 2).mean(0)
        return replace(self, box=box, look=np.concatenate([centre - half, centre + half]), velocity=moved / interval)

    def goes_on(self, interval: float) -> Track:
        """The track with the region to look at next: where the hand was and where it will be if it goes on as it went,
        a hand's width away at most. The last region, if that is about the same."""
        region = around([self.look, self.look + self._step(interval)])
        steady = np.abs(region - self.region).max() <= STEADINESS * length(region)
        return replace(self, region=self.region if steady else region)

    def explains(self, box: FloatArray, interval: float) -> bool:
        """Whether a hand seen in ``box`` can be this one, going on about as it went."""
        return overlap(self.box + self._step(interval), box) >= BELIEF

    def _step(self, interval: float) -> FloatArray:
        furthest = hand_width(self.box)
        return np.tile(np.clip(self.velocity * interval, -furthest, furthest), 2)
