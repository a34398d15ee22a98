"""Entry point of a training: ``train(TrainConfig(...))``, as run by ``lgnet train``."""

from __future__ import annotations

import logging
import math
import os
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader

from lgnet_core.data.augmentation import Augmentation
from lgnet_core.hand_model import HandLayer, load_hand_layer
from lgnet_core.io.output import make_folder, naming
from lgnet_core.network import HandLGNet, HandsNetwork
from lgnet_core.network.baselines.intershape import InterShape
from lgnet_core.training.callbacks import (
    DrawPredictions,
    ExportWeights,
    FinalValidation,
    LogSkipped,
    StepProgressBar,
    TimeLimit,
    silence_lightning,
)
from lgnet_core.training.initial_weights import frozen_parts, initial_network
from lgnet_core.training.losses.config import AUXILIARY, HEATMAPS, loss_weights
from lgnet_core.training.memory import check_disk, check_memory
from lgnet_core.training.mixture import DataMixture, MixtureDataset, collate, open_mixture
from lgnet_core.training.module import TrainingModule
from lgnet_core.training.resume import check_settings, write_settings
from lgnet_core.training.sampling import StepSampler
from lgnet_core.training.train_config import LAST, WEIGHTS, TrainConfig

log = logging.getLogger(__name__)

FIXED_SETTINGS = (
    "preset", "backbone", "data", "annotation", "subset", "batch_size", "accumulate", "seed", "validation",
    "thaw_steps", "dense_supervision",
)  # fmt: skip
"""Settings that must not change when a training is resumed."""


def train(config: TrainConfig, callbacks: Sequence[Callback] = ()) -> Path:
    """Train a network, or resume an interrupted training.

    Args:
        callbacks: additional Lightning callbacks.

    Returns:
        Path of the exported weights, ``weights.safetensors`` in the output folder.

    Raises:
        ValueError: if the settings contradict each other, the data, or the training to be resumed.
        FileNotFoundError: if data, hand model, initial weights or the checkpoint to resume are missing.
    """
    make_folder(config.out)
    silence_lightning()
    if config.threads:
        torch.set_num_threads(config.threads)
    cuda = uses_cuda(config)
    checkpoint = checkpoint_to_resume(config)
    lightning.seed_everything(config.seed, verbose=False)
    hand_model = load_hand_layer(config.hand_model)
    frozen = initial_network(config, hand_model) if config.freeze_backbone else None
    assert frozen is None or isinstance(frozen, HandLGNet)
    mixture = open_mixture(config, hand_model, "cuda" if cuda else "cpu", _augmentation(config, hand_model), frozen)
    devices, nodes = world_layout(config)
    config = epochs_to_steps(config, mixture, devices * nodes)
    network = initial_network(config, hand_model, resumed=checkpoint is not None)
    module = _training_module(config, network, mixture.augmentation)
    check_memory(config, module, mixture, devices, cuda)
    check_disk(config.out, network)
    trainer = lightning.Trainer(
        accelerator="cuda" if cuda else "cpu",
        devices=devices,
        num_nodes=nodes,
        strategy="ddp" if devices * nodes > 1 else "auto",
        precision=_precision(config, cuda),
        max_steps=config.steps,
        limit_train_batches=config.epoch_steps * config.accumulate,
        accumulate_grad_batches=config.accumulate,
        num_sanity_val_steps=0,
        log_every_n_steps=min(20, config.epoch_steps),
        logger=_loggers(config.out),
        callbacks=[*_callbacks(config, mixture), *callbacks],
        enable_progress_bar=config.progress,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    training, validation = data_loaders(config, mixture, trainer)
    if trainer.is_global_zero:
        write_settings(config.out, asdict(config))
    try:
        with naming(config.out):
            trainer.fit(module, training, validation, ckpt_path=checkpoint, weights_only=True)
    except SystemExit as error:  # how Lightning answers an interruption
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None
        raise
    return config.out / WEIGHTS


def uses_cuda(config: TrainConfig) -> bool:
    """Whether the training runs on GPUs."""
    return config.device == "cuda" or (config.device == "auto" and torch.cuda.is_available())


def world_layout(config: TrainConfig) -> tuple[int, int]:
    """Number of processes per node and number of nodes; set by torchrun if it launched this process."""
    if torch.distributed.is_torchelastic_launched():
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        return local, int(os.environ["WORLD_SIZE"]) // local
    return config.devices, 1


def epochs_to_steps(config: TrainConfig, mixture: DataMixture, world_size: int) -> TrainConfig:
    """Configuration with ``epochs`` converted to ``steps``.

    Raises:
        ValueError: if ``epochs`` is set for several data sources or an endless one.
    """
    if not config.epochs:
        return config
    images = mixture.components[0].images
    if len(mixture.components) > 1 or images is None:
        raise ValueError("epochs: only a single, finite data source has epochs; give --steps instead")
    batch_size = config.batch_size * config.accumulate * world_size
    return replace(config, steps=math.ceil(config.epochs * images / batch_size))


def data_loaders(
    config: TrainConfig, mixture: DataMixture, trainer: lightning.Trainer
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Loaders of the training batches, starting at the trainer's current step, and of the held-out images."""
    sampler = StepSampler(
        mixture.components,
        config.batch_size,
        config.epoch_steps * config.accumulate,
        lambda: trainer.global_step * config.accumulate,
        config.seed,
        trainer.global_rank,
        trainer.world_size,
    )
    workers = config.workers if mixture.finite else 0
    training: DataLoader[Any] = DataLoader(
        MixtureDataset(mixture.sources),
        batch_sampler=sampler,
        collate_fn=collate,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    validation = DataLoader(mixture.held_out(config.validation), config.batch_size, collate_fn=collate)
    return training, validation


def _training_module(config: TrainConfig, network: HandsNetwork, augmentation: Augmentation | None) -> TrainingModule:
    return TrainingModule(
        network.to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        config.optimisation(),
        loss_weights(config.losses, network.config.kind),
        augmentation,
        size=config.size,
        seed=config.seed,
        frozen=frozen_parts(config, network),
        frozen_statistics=[network.landmarker] if config.freeze_backbone and isinstance(network, HandLGNet) else [],
        trainable=network.heatmap_net if config.losses == HEATMAPS and isinstance(network, InterShape) else None,
        dense_supervision=config.dense_supervision,
    )


def _callbacks(config: TrainConfig, mixture: DataMixture) -> list[Callback]:
    callbacks: list[Callback] = [ExportWeights(config)]
    if config.losses != AUXILIARY:
        callbacks.append(DrawPredictions(config))
    # After ExportWeights, so that every checkpoint has exported weights.
    callbacks.append(
        ModelCheckpoint(
            config.out,
            filename=Path(LAST).stem,
            every_n_epochs=1,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
    )
    callbacks.append(FinalValidation())
    if config.max_minutes:
        callbacks.append(TimeLimit(timedelta(minutes=config.max_minutes)))
    if config.progress:
        callbacks.append(StepProgressBar(config.steps))
    return [*callbacks, LogSkipped(mixture.skipped)]


def _loggers(out: Path) -> list[Any]:
    """CSV and TensorBoard loggers with a new folder for each run: ``logs/0``, after resuming ``logs/1``, ..."""
    folder = out / "logs"
    version = str(len(list(folder.glob("*"))))
    return [CSVLogger(out, name="logs", version=version), TensorBoardLogger(str(out), name="logs", version=version)]


def checkpoint_to_resume(config: TrainConfig) -> Path | None:
    """The checkpoint with which the training starts; None for a new training.

    Raises:
        ValueError: if the output folder holds a training with other settings, or one that must not be resumed.
        FileNotFoundError: if the checkpoint does not exist.
    """
    last = config.out / LAST
    if config.resume == "auto":
        path = last if last.exists() else None
    elif config.resume == "never":
        if last.exists():
            raise ValueError(
                f"{config.out}: already contains a training; resume it (--resume auto), or use another folder"
            )
        path = None
    else:
        path = Path(config.resume)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such checkpoint; a training writes {LAST} into its output folder")
    if path is not None:
        if not zipfile.is_zipfile(path):
            raise ValueError(f"{path}: is damaged, or not a checkpoint of a training; pass its {LAST}, or remove it")
        check_settings(config.out, {name: getattr(config, name) for name in FIXED_SETTINGS})
    return path


def _augmentation(config: TrainConfig, hand_model: HandLayer) -> Augmentation | None:
    flip = 0.5 if config.flip else 0.0
    if config.flip and not hand_model.mirrored:
        log.warning(
            "%s: its left hand is not the mirror image of its right hand; images are not mirrored", hand_model.name
        )
        flip = 0.0
    if config.augment:
        augmentation = Augmentation(rotation=math.radians(config.rotation), flip=flip)
        return augmentation if config.recolour else replace(augmentation, background=0.0, photometry=None)
    return Augmentation.mirror_only(flip) if flip else None


def _precision(config: TrainConfig, cuda: bool) -> Any:
    if config.precision != "auto":
        return config.precision
    return "bf16-mixed" if cuda else "32-true"
