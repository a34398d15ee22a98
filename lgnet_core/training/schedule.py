r"""Learning-rate factors over the steps of a training: warm-up, then one of three shapes."""

from __future__ import annotations

import math
from collections.abc import Callable

SCHEDULES = ("cosine", "trapezoid", "paper")
FINAL = 0.01
"""Factor that the cosine and the trapezoid end at."""
DECAY_PART = 0.2
"""Part of the steps in which the trapezoid falls."""


def learning_rate_factor(schedule: str, steps: int, warmup: int) -> Callable[[int], float]:
    """The factor of the base learning rate at each step.

    ``cosine``: half a cosine from 1 to 0.01. ``trapezoid``: 1, then a straight line to 0.01 in the last fifth; a
    training that was stopped before can be resumed with fewer steps to fall at once. ``paper``: x 0.1 after a third and
    after a half of the steps (epochs 10 and 15 of 30). All rise in a straight line over the ``warmup`` first steps.

    Raises:
        ValueError: if the schedule is unknown, or the warm-up is longer than the training.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule {schedule!r}: unknown; choose of {', '.join(SCHEDULES)}")
    if not 0 <= warmup <= steps or steps < 1:
        raise ValueError(f"schedule: {warmup} steps of warm-up in {steps} steps; give fewer, or more steps")

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        progress = min(1.0, (step - warmup) / max(1, steps - warmup))
        if schedule == "cosine":
            return FINAL + (1 - FINAL) * 0.5 * (1 + math.cos(math.pi * progress))
        if schedule == "trapezoid":
            return max(FINAL, min(1.0, FINAL + (1 - FINAL) * (1 - progress) / DECAY_PART))
        return 0.1 ** ((step >= steps / 3) + (step >= steps / 2))

    return factor
