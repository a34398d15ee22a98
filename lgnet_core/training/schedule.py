r"""Learning-rate schedules: linear warm-up followed by cosine, warm-up-stable-decay or step decay."""

from __future__ import annotations

import math
from collections.abc import Callable

SCHEDULES = ("cosine", "wsd", "paper")
FORMER_SCHEDULE_NAMES = {"trapezoid": "wsd"}
"""Former names of schedules, as recorded in settings files of earlier versions."""
FINAL_FACTOR = 0.01
"""Learning-rate factor at the end of the cosine and wsd schedules."""
DECAY_FRACTION = 0.2
"""Fraction of the steps after the warm-up in which the wsd schedule decays."""


def learning_rate_factor(schedule: str, steps: int, warmup: int) -> Callable[[int], float]:
    """Factor of the base learning rate at each step.

    All schedules start with a linear warm-up over the first ``warmup`` steps.

    - ``cosine``: half a cosine from 1 to 0.01.
    - ``wsd`` (warm-up, stable, decay): 1, then linear decay to 0.01 over the last fifth. A training interrupted in the
      stable phase can be resumed with fewer steps to start the decay at once.
    - ``paper``: x 0.1 after a third and after a half of the steps (epochs 10 and 15 of 30).

    Raises:
        ValueError: if the schedule is unknown, or the warm-up is longer than the training.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule {schedule!r}: unknown; choose one of {', '.join(SCHEDULES)}")
    if not 0 <= warmup <= steps or steps < 1:
        raise ValueError(
            f"schedule: {warmup} warm-up steps do not fit in {steps} steps; reduce the warm-up or increase the steps"
        )

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        progress = min(1.0, (step - warmup) / max(1, steps - warmup))
        if schedule == "cosine":
            return FINAL_FACTOR + (1 - FINAL_FACTOR) * 0.5 * (1 + math.cos(math.pi * progress))
        if schedule == "wsd":
            return max(FINAL_FACTOR, min(1.0, FINAL_FACTOR + (1 - FINAL_FACTOR) * (1 - progress) / DECAY_FRACTION))
        return 0.1 ** ((step >= steps / 3) + (step >= steps / 2))

    return factor
