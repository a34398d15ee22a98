"""Acceleration of joints: the second difference of their positions in consecutive frames.

.. math:: a_t = x_{t+1} - 2 x_t + x_{t-1}

The acceleration error is the mean length of the difference between predicted and true acceleration.

Sources: Kanazawa et al. 2019, "Learning 3D Human Dynamics from Video" (HMMR); Kocabas et al. 2020, "VIBE", which gives
it in millimetres per second squared.
"""

from __future__ import annotations

from lgnet_core.evaluation.metrics.alignment import MILLIMETRES
from lgnet_core.types import Array


def accelerations(positions: Array) -> Array:
    """Millimetres per frame squared. Shapes: (T, ..., 3) metres -> (T - 2, ..., 3)."""
    return (positions[2:] - 2 * positions[1:-1] + positions[:-2]) * MILLIMETRES
