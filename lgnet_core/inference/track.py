"""A hand that is followed from image to image: its place, velocity and side, and its next crop."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from lgnet_core.hand_crops import HandCrops
from lgnet_core.inference.observation import HandObservation, crops_of_observations
from lgnet_core.inference.smoothing import HandSmoother
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.types import FloatArray, Side


@dataclass(eq=False)
class Track:
    """A followed hand.

    Args:
        number: its track id. side: of the hand.
        observation: the last one, with the track's belief in its side.
        velocity: (2,) of the joints' mean, pixels per second.
        smoother: None until smoothing is on.
    """

    number: int
    side: Side
    observation: HandObservation
    velocity: FloatArray = field(default_factory=lambda: np.zeros(2))
    smoother: HandSmoother | None = None

    def next_crop(self, interval: float, thresholds: Thresholds) -> HandCrops:
        """One crop: around the last joints, moved on at constant velocity for ``interval`` seconds."""
        crop = crops_of_observations([self.observation]).mirror_left(torch.tensor([int(self.side)]))
        furthest = thresholds.velocity_limit * float(crop.side)
        step = np.clip(self.velocity * interval, -furthest, furthest)
        return crop._replace(centre=crop.centre + torch.from_numpy(step))

    def believe(self, seen: HandObservation, thresholds: Thresholds) -> HandObservation:
        """The next observation with what the track knew of its side: a moving average of probabilities."""
        kept = thresholds.side_memory
        belief = kept * self.observation.right_probability + (1 - kept) * seen.right_probability
        return seen.with_right_probability(belief)

    def update(self, seen: HandObservation, interval: float) -> None:
        """Go on with the hand as it was seen ``interval`` seconds later."""
        self.velocity = (seen.joints.mean(0) - self.observation.joints.mean(0)) / interval
        self.observation = seen


def join(crops: list[HandCrops]) -> HandCrops:
    """Several crops as one batch."""
    return HandCrops(*(torch.cat(values) for values in zip(*crops)))
