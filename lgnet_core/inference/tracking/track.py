"""A hand that is followed from image to image: its place, velocity and side, and its next crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from lgnet_core.geometry.hand_crops import HandCrops
from lgnet_core.inference.observation import HandObservation, crops_of_observations
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.inference.tracking.smoothing import HandSmoother
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

    def believe(self, seen: HandObservation, thresholds: Thresholds) -> HandObservation:
        """The next observation with what the track knew of its side: a moving average of probabilities."""
        kept = thresholds.side_memory
        belief = kept * self.observation.right_probability + (1 - kept) * seen.right_probability
        return seen.with_right_probability(belief)

    def update(self, seen: HandObservation, interval: float) -> None:
        """Go on with the hand as it was seen ``interval`` seconds later."""
        self.velocity = (seen.joints.mean(0) - self.observation.joints.mean(0)) / interval
        self.observation = seen


def next_crops(tracks: Sequence[Track], interval: float, thresholds: Thresholds) -> HandCrops:
    """A crop for each track: around its last joints, moved on at constant velocity for ``interval`` seconds."""
    crops = crops_of_observations([track.observation for track in tracks])
    crops = crops.mirror_left(torch.tensor([int(track.side) for track in tracks]))
    furthest = thresholds.velocity_limit * crops.side.numpy()[:, None]
    steps = np.clip(np.stack([track.velocity for track in tracks]) * interval, -furthest, furthest)
    return crops._replace(centre=crops.centre + torch.from_numpy(steps))
