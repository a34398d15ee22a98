"""Frames of moving hands with ground truth, for tests of recordings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lgnet_core.hand_model import HandModel
from lgnet_core.recording.frame import Frame
from lgnet_core.types import Camera, Hand, TwoHands
from support.fixed_hands import two_hands, wrist_relative

CAMERA = Camera(np.array([[560.0, 0, 319.5], [0, 550, 239.5], [0, 0, 1]]), 640, 480, np.array([0.1, -0.02, 1e-3, 2e-3]))
TIMES = (0.0, 0.04, 0.1, 2.0)
"""Seconds; uneven, as of a phone."""


def moving_frames(hand_model: HandModel, metric: bool = True) -> list[Frame]:
    """Both hands, then only the right one, none, and both again; images differ in brightness."""
    both = two_hands(hand_model)
    frames = []
    for k, time in enumerate(TIMES):
        right, left = (_moved(hand, 0.01 * k) for hand in (both.right, both.left))
        hands = replace(both, right=right, left=left)
        if k == 1:
            hands = TwoHands(right, None, None, metric=True)
        elif k == 2:
            hands = TwoHands(None, None, None, metric=True)
        if not metric:
            hands = wrist_relative(hands) if k in (0, 3) else replace(hands, metric=False)
        image = np.full((480, 640, 3), (40 * k, 100, 200), np.uint8)
        frames.append(Frame(10 + 2 * k, time, image, hands, CAMERA if metric else None))
    return frames


def _moved(hand: Hand | None, depth: float) -> Hand:
    """A hand moved away from the camera."""
    assert hand is not None
    shift = np.array([0, 0, depth])
    return replace(hand, vertices=hand.vertices + shift, joints=hand.joints + shift)
