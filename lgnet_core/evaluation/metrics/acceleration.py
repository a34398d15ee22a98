"""Acceleration of joints: the second difference of their positions in consecutive frames.

.. math:: a_t = x_{t+1} - 2 x_t + x_{t-1}

The acceleration error is the mean length of the difference between predicted and true acceleration.

Sources: Kanazawa et al. 2019, "Learning 3D Human Dynamics from Video" (HMMR); Kocabas et al. 2020, "VIBE", which gives
it in millimetres per second squared. Depends on torch only.
"""

from __future__ import annotations

from torch import Tensor

from lgnet_core.evaluation.metrics.alignment import MILLIMETRES


def accelerations(positions: Tensor) -> Tensor:
    """Millimetres per frame squared. Shapes: (T, ..., 3) metres -> (T - 2, ..., 3)."""
    return positions.diff(dim=0).diff(dim=0) * MILLIMETRES
