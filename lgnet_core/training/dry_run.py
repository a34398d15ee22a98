"""Time and memory estimate of a training from a few measured steps: ``lgnet train --dry-run``."""

from __future__ import annotations

import logging
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import Callback
from torch.utils.data import DataLoader

from lgnet_core.hand_model import load_hand_layer
from lgnet_core.io.output import check_folder_path, temporary_folder
from lgnet_core.training.memory import check_disk
from lgnet_core.training.mixture import MixtureDataset, check_stored_sets, open_mixture, validation_share
from lgnet_core.training.module import TrainingModule
from lgnet_core.training.sources import Source, training_length
from lgnet_core.training.train import checkpoint_to_resume, epochs_to_steps, train, uses_cuda, world_layout
from lgnet_core.training.train_config import INTERHAND26M, TrainConfig

log = logging.getLogger(__name__)

CUDA_STEPS, CPU_STEPS = (10, 3), (4, 1)
"""Total steps, and warm-up steps that are not measured: the first ones allocate memory, and on a GPU select kernels."""
MAX_VALIDATION = 8
"""Maximum number of held-out images: validation is not measured, but slow on a CPU."""


@dataclass(frozen=True)
class Cost:
    """Estimated cost of a training.

    Args:
        steps: steps of the whole training.
        step_seconds: time per step, without validation and saving.
        images_per_second: throughput of all devices.
        hours: time of all steps.
        memory: peak memory in bytes, of the device with CUDA, otherwise of the process.
    """

    steps: int
    step_seconds: float
    images_per_second: float
    hours: float
    memory: int


def dry_run(config: TrainConfig) -> Cost:
    """Measure a few steps of a training in a temporary folder.

    What would make the real run refuse its settings, data or output folder is checked first.

    Raises: see :func:`lgnet_core.training.train.train`.
    """
    check_folder_path(config.out)
    checkpoint_to_resume(config)
    check_stored_sets(config, load_hand_layer(config.hand_model))
    total_steps, warmup_steps = CUDA_STEPS if uses_cuda(config) else CPU_STEPS
    log.info("measuring %d steps, %d of them for warm-up", total_steps, warmup_steps)
    steps = config.steps
    if config.epochs:
        devices, nodes = world_layout(config)
        mixture = open_mixture(config, load_hand_layer(config.hand_model), "cpu", None)
        steps = epochs_to_steps(config, mixture, devices * nodes).steps
    clock = _StepClock()
    with temporary_folder() as folder:
        shortened = replace(
            config,
            out=folder,
            steps=total_steps,
            epoch_steps=total_steps,
            warmup=min(config.warmup, total_steps),
            epochs=0.0,
            validation=min(config.validation, config.batch_size, MAX_VALIDATION),
            resume="never",
        )
        train(shortened, [clock, _RealRunChecks(config, shortened)])
    seconds = (clock.ends[-1] - clock.ends[warmup_steps - 1]) / (total_steps - warmup_steps)
    process_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Cost(
        steps=steps,
        step_seconds=seconds,
        images_per_second=config.batch_size * config.accumulate * config.devices / seconds,
        hours=steps * seconds / 3600,
        memory=torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else process_peak,
    )


class _RealRunChecks(Callback):
    """Checks of the real run that need the network and the sources, and that its shortened form passes.

    Raises:
        ValueError: if the real run holds out all images of a source.
        InsufficientSpaceError: if the checkpoints do not fit into the real output folder.
    """

    def __init__(self, config: TrainConfig, shortened: TrainConfig) -> None:
        self.config, self.shortened = config, shortened

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        assert isinstance(module, TrainingModule)
        check_disk(self.config.out, module.network)
        for (name, weight), source in zip(self.config.components(), self._sources(trainer)):
            if source.length is not None and name != INTERHAND26M:  # that has a split of its own for validation
                count = source.length + validation_share(self.shortened, weight)
                training_length(name, count, validation_share(self.config, weight))

    @staticmethod
    def _sources(trainer: lightning.Trainer) -> Sequence[Source]:
        loader = trainer.train_dataloader
        assert isinstance(loader, DataLoader)
        assert isinstance(loader.dataset, MixtureDataset)
        return loader.dataset.sources


class _StepClock(Callback):
    """Records the end time of each optimiser step."""

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
