"""A clip of a few small frames."""

from __future__ import annotations

import numpy as np

from lgnet_core.data.clip import Clip
from lgnet_core.types import Camera


def small_clip(count: int = 3) -> Clip:
    rng = np.random.default_rng(0)
    camera = Camera(np.array([[300.0, 0, 79.5], [0, 300, 59.5], [0, 0, 1]]), 160, 120)
    frames = [np.full((120, 160, 3), 100 + 10 * k, np.uint8) for k in range(count)]
    joints = rng.normal(0, 0.03, (count, 2, 21, 3)) + np.array([0, 0, 0.5])
    return Clip(frames, camera, joints, np.ones((count, 2), bool), 10.0)
