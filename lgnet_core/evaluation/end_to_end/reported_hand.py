"""Common representation of the hands reported by LGNet and by other methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lgnet_core.types import Camera, FloatArray, ImageArray, Side, TwoHands


class ReportedHand(NamedTuple):
    """One hand in one image.

    Args:
        side: anatomical side.
        joints_2d: pixels of the image.
        joints: metres, camera axes.
        placed: the joints are positions in the camera frame; otherwise only their relative positions are meaningful.

    Shapes:
        joints_2d: (21, 2); joints: (21, 3).
    """

    side: Side
    joints_2d: FloatArray
    joints: FloatArray
    placed: bool


Method = Callable[[ImageArray, Camera | None], list[ReportedHand]]
"""Estimates the hands of an image (H, W, 3) uint8 RGB, whose camera may be unknown."""


def to_reported_hands(hands: TwoHands) -> list[ReportedHand]:
    """Convert the output of the estimator or tracker, right before left."""
    return [ReportedHand(hand.side, hand.joints_2d, hand.joints, hands.metric) for hand in hands.hands]
