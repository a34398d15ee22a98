"""A hand as any program reports it: what is judged of LGNet's hands and of others' alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lgnet_core.types import Camera, FloatArray, Side, TwoHands


class ReportedHand(NamedTuple):
    """One hand in one image.

    Args:
        side: anatomical side.
        joints_2d: pixels of the image.
        joints: metres, camera axes.
        placed: the joints stand in the camera's frame; otherwise only what lies between them means anything.

    Shapes:
        joints_2d: (21, 2); joints: (21, 3).
    """

    side: Side
    joints_2d: FloatArray
    joints: FloatArray
    placed: bool


Method = Callable[[FloatArray, Camera | None], list[ReportedHand]]
"""Finds the hands of an image (H, W, 3) uint8 RGB, whose camera may be unknown."""


def reported(hands: TwoHands) -> list[ReportedHand]:
    """What LGNet's estimator or tracker reports, right before left."""
    return [ReportedHand(hand.side, hand.joints_2d, hand.joints, hands.metric) for hand in hands.hands]
