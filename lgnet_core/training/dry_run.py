"""What a training will cost, from a few of its steps: ``lgnet train --dry-run``."""

from __future__ import annotations

import logging
import resource
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import Callback

from lgnet_core.hand_model import load_hand_model
from lgnet_core.training.mixture import open_mixture
from lgnet_core.training.train import in_steps, on_cuda, processes, train
from lgnet_core.training.train_config import TrainConfig

log = logging.getLogger(__name__)

CUDA_STEPS, CPU_STEPS = (10, 3), (4, 1)
"""Steps that are made, and how many of them do not count: the first ones allocate, and on a GPU choose kernels."""
HELD_OUT = 8
"""Images validated on, at most: the validation is not measured, and takes a CPU long."""


@dataclass(frozen=True)
class Cost:
    """Of a training as configured.

    Args:
        steps: of the whole training. step_seconds: of one step, validation and saving left out.
        images_per_second: of all devices together. hours: of all steps.
        memory: bytes at the peak: the device's with CUDA, else the process's.
    """

    steps: int
    step_seconds: float
    images_per_second: float
    hours: float
    memory: int


def dry_run(config: TrainConfig) -> Cost:
    """Make a few steps of a training in a folder that is thrown away, and measure them.

    Says so first, since a CPU takes minutes for them; while they are made it shows the training's bar.

    Raises: see :func:`lgnet_core.training.train.train`.
    """
    made, settling = CUDA_STEPS if on_cuda(config) else CPU_STEPS
    log.info("making %d steps to measure them, %d of them to warm up only", made, settling)
    steps = config.steps
    if config.epochs:
        devices, nodes = processes(config)
        supply = open_mixture(config, load_hand_model(config.hand_model), "cpu", None)
        steps = in_steps(config, supply, devices * nodes).steps
    clock = _StepClock()
    with tempfile.TemporaryDirectory() as folder:
        few = replace(
            config,
            out=Path(folder),
            steps=made,
            epoch_steps=made,
            warmup=min(config.warmup, made),
            epochs=0.0,
            validation=min(config.batch_size, HELD_OUT),
            resume="never",
        )
        train(few, [clock])
    seconds = (clock.ends[-1] - clock.ends[settling - 1]) / (made - settling)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Cost(
        steps=steps,
        step_seconds=seconds,
        images_per_second=config.batch_size * config.accumulate * config.devices / seconds,
        hours=steps * seconds / 3600,
        memory=torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else peak,
    )


class _StepClock(Callback):
    """When each step ended, which is after several batches if their gradients are accumulated."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        if (index + 1) % trainer.accumulate_grad_batches:
            return
        if module.device.type == "cuda":
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())
