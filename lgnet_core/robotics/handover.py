"""Handover: whether a person holds out an open palm, and where a gripper waits in front of it.

A hand is described by its mesh, its joints and its frame (:mod:`lgnet_core.geometry.hand_frame`), so that all of it can
be computed from ``hands/mesh``. Metres, seconds, camera frame.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lgnet_core.geometry.hand_frame import Pose
from lgnet_core.types import WRIST, FloatArray, HandKey, Side

_FINGERS = np.array([[WRIST, *range(first, first + 4)] for first in (5, 9, 13, 17)])  # not the thumb
_KNUCKLES = [5, 9, 13, 17]
FIST_BEND = math.pi
"""Radians: sum of the angles between successive bones of a finger at which the hand counts as closed."""

_PALM_RADIUS = 0.02  # metres: skin within this distance of the palm's axis
_SPEED_TIME = 0.2  # seconds: time constant of the smoothed speed


@dataclass(frozen=True)
class HandoverSettings:
    """Thresholds; each pair is a hysteresis.

    Args:
        open_at, close_below: openness at which a palm becomes open, and below which it is no longer.
        slow_at, fast_above: speed of the palm, m/s, likewise.
        hold_time: seconds for which a palm must be open and slow before it is ready.
        stand_off: metres between the hand and the approach pose.

    Raises:
        ValueError: the thresholds of a pair are in the wrong order.
    """

    open_at: float = 0.75
    close_below: float = 0.6
    slow_at: float = 0.1
    fast_above: float = 0.25
    hold_time: float = 0.5
    stand_off: float = 0.15

    def __post_init__(self) -> None:
        for low, high in (("close_below", "open_at"), ("slow_at", "fast_above")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(
                    f"{low}: {getattr(self, low):g} is above {high}, {getattr(self, high):g}; lower it, or raise {high}"
                )


class OfferedHand(NamedTuple):
    """One hand of an image.

    Shapes:
        vertices: (V, 3), joints: (21, 3) metres, camera frame.
    """

    track_id: int
    presence: float
    vertices: FloatArray
    joints: FloatArray
    pose: Pose


class Handover(NamedTuple):
    """State of the hand that is watched; see ``msg/Handover.msg``."""

    person: int
    side: Side
    track_id: int
    openness: float
    is_open: bool
    ready: bool
    speed: float
    palm: Pose
    approach: Pose


def openness(joints: FloatArray) -> float:
    """1 for straight fingers, 0 for a fist: from the mean bend of the four fingers, whose joints are (21, 3).

    The bend of a finger is the sum of the angles between successive bones, the first from wrist to knuckle, divided by
    :data:`FIST_BEND`.
    """
    bones = np.diff(joints[_FINGERS], axis=1)  # (4, 4, 3)
    bones = bones / np.linalg.norm(bones, axis=-1, keepdims=True)
    angles = np.arccos(np.clip((bones[:, 1:] * bones[:, :-1]).sum(-1), -1, 1))
    return float(np.clip(1 - angles.sum(-1).mean() / FIST_BEND, 0, 1))


def palm_pose(hand: OfferedHand) -> Pose:
    """Pose of the palm: at its centre on the skin, with the axes of the hand frame (x to the fingers, z out)."""
    normal = hand.pose.rotation[:, 2]
    centre = (hand.joints[WRIST] + hand.joints[_KNUCKLES].mean(0)) / 2
    relative = hand.vertices - centre
    heights = relative @ normal
    beside = np.linalg.norm(relative - heights[:, None] * normal, axis=1)
    skin = heights[beside <= max(_PALM_RADIUS, beside.min())]
    return Pose(centre + max(skin.max(), 0.0) * normal, hand.pose.quaternion)


def approach_pose(hand: OfferedHand, stand_off: float) -> Pose:
    """Pose in front of the palm, ``stand_off`` metres from the nearest part of the hand, fingers included.

    Its z axis points into the palm and its x axis towards the fingers, as that of the hand frame.
    """
    palm = palm_pose(hand)
    normal = palm.rotation[:, 2]
    farthest = float(((hand.vertices - palm.position) @ normal).max())
    x, y, z, w = palm.quaternion.tolist()
    half_turn = np.array([w, z, -y, -x])  # the hand frame, turned by half a turn about its own x axis
    return Pose(palm.position + (farthest + stand_off) * normal, half_turn if half_turn[3] >= 0 else -half_turn)


class HandoverDetector:
    """Follows one hand and decides whether it is ready for a handover.

    The hand that is watched stays the same while it is there. A new one is the most open one; of equally open ones, the
    more certain one.

    Args:
        settings: can be replaced at any time.
    """

    def __init__(self, settings: HandoverSettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        """Forget the watched hand."""
        self._watched: tuple[HandKey, int] | None = None
        self._is_open = self._is_slow = False
        self._since = math.inf
        self._last: tuple[float, FloatArray] | None = None
        self._speed = 0.0

    def update(self, time: float, hands: Mapping[HandKey, OfferedHand]) -> Handover | None:
        """State after an image at ``time``, seconds; None if it shows no hand. Time that goes back resets."""
        watched = next((key for key, hand in hands.items() if (key, hand.track_id) == self._watched), None)
        if watched is None or (self._last is not None and time < self._last[0]):
            self.reset()
            if not hands:
                return None
            watched = max(hands, key=lambda key: (round(openness(hands[key].joints), 1), hands[key].presence))
            self._watched = watched, hands[watched].track_id
        hand, settings = hands[watched], self.settings
        palm, amount = palm_pose(hand), openness(hand.joints)
        self._measure_speed(time, palm.position)
        self._is_open = amount >= (settings.close_below if self._is_open else settings.open_at)
        self._is_slow = self._speed <= (settings.fast_above if self._is_slow else settings.slow_at)
        if not (self._is_open and self._is_slow):
            self._since = math.inf
        elif self._since == math.inf:
            self._since = time
        ready = time - self._since >= settings.hold_time
        approach = approach_pose(hand, settings.stand_off)
        return Handover(*watched, hand.track_id, amount, self._is_open, ready, self._speed, palm, approach)

    def _measure_speed(self, time: float, position: FloatArray) -> None:
        """Exponentially smoothed speed of the palm, which single noisy images hardly change."""
        if self._last is not None and time > self._last[0]:
            step = time - self._last[0]
            speed = float(np.linalg.norm(position - self._last[1])) / step
            self._speed += (1 - math.exp(-step / _SPEED_TIME)) * (speed - self._speed)
        self._last = time, position
