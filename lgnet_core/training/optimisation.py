"""Optimiser settings, parameter groups, and the exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
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
        thaw_steps: steps after which one more block of the landmark network is trained, from the last one backwards
            (gradual unfreezing, Howard & Ruder 2018); 0: all of them from the start.
    """

    optimiser: str = "adamw"
    learning_rate: float = 3e-4
    weight_decay: float = 0.01
    schedule: str = "cosine"
    steps: int = 100_000
    warmup: int = 500
    clip: float = 1.0
    ema_decay: float = 0.999
    thaw_steps: int = 0

    def __post_init__(self) -> None:
        if self.thaw_steps < 0:
            raise ValueError(f"thaw_steps {self.thaw_steps}: expected 0 (no gradual unfreezing) or more steps")
        if self.optimiser not in OPTIMISERS:
            raise ValueError(f"optimiser {self.optimiser!r}: unknown; choose one of {', '.join(OPTIMISERS)}")
        learning_rate_factor(self.schedule, self.steps, self.warmup)  # validates the schedule

    def build(
        self, parameters: Iterable[nn.Parameter], landmarker: Sequence[Collection[nn.Parameter]]
    ) -> torch.optim.Optimizer:
        """Optimiser with a parameter group for each learning rate, first step and weight decay.

        The learning rates are set by :func:`set_learning_rate`.

        Args:
            parameters: all parameters; those without gradients are ignored.
            landmarker: parameters with the reduced learning rate :data:`LANDMARKER_LR_SCALE`, by block, in the order in
                which they are unfrozen.
        """
        first_steps = {id(p): k * self.thaw_steps for k, block in enumerate(landmarker) for p in block}
        groups: dict[tuple[int | None, bool], list[nn.Parameter]] = {}
        for p in parameters:
            if p.requires_grad:
                groups.setdefault((first_steps.get(id(p)), p.ndim > 1), []).append(p)
        return OPTIMISERS[self.optimiser](
            [
                {
                    "params": group,
                    "weight_decay": self.weight_decay if is_matrix else 0.0,
                    "lr_scale": 1.0 if first_step is None else LANDMARKER_LR_SCALE,
                    "first_step": first_step or 0,
                }
                for (first_step, is_matrix), group in groups.items()
            ],
            lr=self.learning_rate,
            fused=True,
        )


def set_learning_rate(optimiser: torch.optim.Optimizer, learning_rate: float, step: int) -> None:
    """Set the learning rate of each parameter group; 0 before its first step."""
    for group in optimiser.param_groups:
        frozen = step < group.get("first_step", 0)  # absent in checkpoints of versions without gradual unfreezing
        group["lr"] = 0.0 if frozen else learning_rate * group["lr_scale"]


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
