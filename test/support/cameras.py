"""Random camera intrinsics and points in view."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st


@st.composite
def intrinsics(draw) -> np.ndarray:
    """(3, 3) K of a pinhole camera whose focal lengths differ by up to 10 %."""
    f, ratio = draw(st.floats(200, 2000)), draw(st.floats(0.9, 1.1))
    return np.array([[f, 0, draw(st.floats(100, 1200))], [0, f * ratio, draw(st.floats(100, 800))], [0, 0, 1]])


def points_in_view(seed: int, count: int = 21) -> np.ndarray:
    """(N, 3) points in front of the camera, metres."""
    rng = np.random.default_rng(seed)
    return rng.uniform([-0.3, -0.3, 0.3], [0.3, 0.3, 1.5], (count, 3))
