"""State of a tracked hand: last observation, velocity and handedness, and the prediction of its next crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lgnet_core.geometry.hand_crops import HandCrops
from lgnet_core.inference.observation import HandObservation, crops_from_observations
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.inference.tracking.smoothing import HandSmoother
from lgnet_core.inference.tracking.track_size import TrackSize
from lgnet_core.types import FloatArray, Side


@dataclass(eq=False)
class Track:
    """A tracked hand.

    Args:
        track_id: unique, from 1.
        person: index of the person whose hand it is.
        side: assigned to the hand.
        observation: the last one, with the track's filtered handedness.
        velocity: (2,) of the joints' mean, pixels per second.
        smoother: None while smoothing is off.
        size: as measured with depth maps.
    """

    track_id: int
    person: int
    side: Side
    observation: HandObservation
    velocity: FloatArray = field(default_factory=lambda: np.zeros(2))
    smoother: HandSmoother | None = None
    size: TrackSize = field(default_factory=TrackSize)

    def filter_handedness(self, observation: HandObservation, thresholds: Thresholds) -> HandObservation:
        """The next observation, its handedness replaced by the exponential moving average over the track."""
        momentum = thresholds.handedness_momentum
        average = momentum * self.observation.right_probability + (1 - momentum) * observation.right_probability
        return observation.with_right_probability(average)

    def update(self, observation: HandObservation, interval: float) -> None:
        """Continue the track with the observation ``interval`` seconds later."""
        self.velocity = (observation.joints.mean(0) - self.observation.joints.mean(0)) / interval
        self.observation = observation


def predict_crops(tracks: Sequence[Track], interval: float, thresholds: Thresholds) -> HandCrops:
    """The next crop of each track: around its last joints, moved at constant velocity for ``interval`` seconds."""
    crops = crops_from_observations([track.observation for track in tracks], [track.side for track in tracks])
    max_shift = thresholds.max_crop_shift * crops.side[:, None]
    shift = np.clip(np.stack([track.velocity for track in tracks]) * interval, -max_shift, max_shift)
    return crops._replace(centre=crops.centre + shift)
