"""Optimiser settings, parameter groups, and the exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lgnet_core.training.schedule import learning_rate_factor

OPTIMISERS: dict[str, type[torch.optim.AdamW] | type[torch.optim.Adam]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
}

LANDMARKER_LR_SCALE = 0.1
"""Learning rate of the landmark network relative to the other parameters, because it is pretrained on real hands."""


@dataclass(frozen=True)
class Optimisation:
    """Optimiser, learning-rate schedule and weight averaging.

    Args:
        optimiser: ``adamw``, or ``adam`` (paper).
        learning_rate: base learning rate (paper: 1e-4).
        weight_decay: weight decay of kernels and matrices; biases and norms do not decay.
        schedule: see :func:`lgnet_core.training.schedule.learning_rate_factor`.
        steps: optimiser steps of the whole training.
        warmup: warm-up steps of the learning rate.
        clip: maximum gradient norm.
        ema_decay: final decay of the exponential moving average, see :func:`ema_update`.
    """

    optimiser: str = "adamw"
    learning_rate: float = 3e-4
    weight_decay: float = 0.01
    schedule: str = "cosine"
    steps: int = 100_000
    warmup: int = 500
    clip: float = 1.0
    ema_decay: float = 0.999

    def __post_init__(self) -> None:
        if self.optimiser not in OPTIMISERS:
            raise ValueError(f"optimiser {self.optimiser!r}: unknown; choose one of {', '.join(OPTIMISERS)}")
        learning_rate_factor(self.schedule, self.steps, self.warmup)  # validates the schedule

    def build(self, parameters: Iterable[nn.Parameter], landmarker: Collection[nn.Parameter]) -> torch.optim.Optimizer:
        """Optimiser with a parameter group for each learning-rate scale and weight decay.

        Args:
            parameters: all parameters; those without gradients are ignored.
            landmarker: parameters with the reduced learning rate :data:`LANDMARKER_LR_SCALE`.
        """
        reduced = {id(p) for p in landmarker}
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for p in parameters:
            if p.requires_grad:
                groups.setdefault((id(p) in reduced, p.ndim > 1), []).append(p)
        return OPTIMISERS[self.optimiser](
            [
                {
                    "params": group,
                    "weight_decay": self.weight_decay if is_matrix else 0.0,
                    "lr_scale": LANDMARKER_LR_SCALE if is_reduced else 1.0,
                }
                for (is_reduced, is_matrix), group in groups.items()
            ],
            lr=self.learning_rate,
            fused=True,
        )


def ema_update(decay: float) -> Callable[[Any, Any, Any], None]:
    """Exponential moving average with warm-up, decay min(decay, (1 + n) / (10 + n)), for torch's AveragedModel.

    Integer tensors (counters, index tables) are copied, since averaging would round them.
    """

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:
        if averaged[0].is_floating_point():
            n = float(count)
            torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + n) / (10 + n)))
        else:
            torch._foreach_copy_(averaged, current)

    return update
