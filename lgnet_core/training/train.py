"""``train(TrainConfig(...))``: the training entry that ``lgnet train`` fills in."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from torch import nn
from torch.utils.data import DataLoader

from lgnet_core.data.augmentation import Augmentation
from lgnet_core.hand_model import HandModel, load_hand_model
from lgnet_core.network import (
    HandLGNet,
    HandLGNetConfig,
    HandsNetwork,
    LGNetConfig,
    build_network,
    load_pretrained,
)
from lgnet_core.network.baselines.intershape import InterShape
from lgnet_core.network.checkpoint import load_network
from lgnet_core.network.detector.hand_landmark import load_hand_landmark_net
from lgnet_core.training.callbacks import (
    DrawPredictions,
    ExportWeights,
    FinalValidation,
    LogSkipped,
    Progress,
    TimeLimit,
    silence_lightning,
)
from lgnet_core.training.losses.config import AUXILIARY, HEATMAPS, loss_weights
from lgnet_core.training.mixture import DataMixture, DrawnImages, collate, open_mixture
from lgnet_core.training.module import TrainingModule
from lgnet_core.training.sampling import StepSampler
from lgnet_core.training.train_config import LAST, WEIGHTS, TrainConfig

log = logging.getLogger(__name__)

SETTINGS = "settings.json"
BACKBONE_SUFFIXES = (".pth", ".pt")
"""Of files that hold a backbone alone, as torchvision's do."""


def train(config: TrainConfig, callbacks: Sequence[Callback] = ()) -> Path:
    """Train a network, or go on with a training that was stopped.

    Args:
        callbacks: Lightning's, besides those that every training has.

    Returns:
        The exported weights: ``weights.safetensors`` in the run's folder.

    Raises:
        ValueError: if the settings contradict each other, the data, or the training to be resumed.
        FileNotFoundError: if data, hand model, initial weights or the file to resume from are missing.
    """
    config.out.mkdir(parents=True, exist_ok=True)
    silence_lightning()
    if config.threads:
        torch.set_num_threads(config.threads)
    cuda = on_cuda(config)
    resume = _resume_path(config)
    lightning.seed_everything(config.seed, verbose=False)
    hand_model = load_hand_model(config.hand_model)
    frozen = initial_network(config, hand_model) if config.freeze_backbone else None
    assert frozen is None or isinstance(frozen, HandLGNet)
    supply = open_mixture(config, hand_model, "cuda" if cuda else "cpu", _augmentation(config, hand_model), frozen)
    devices, nodes = processes(config)
    config = in_steps(config, supply, devices * nodes)
    network = initial_network(config, hand_model, resumed=resume is not None)
    module = TrainingModule(
        network.to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        config.optimisation(),
        loss_weights(config.losses, network.config.kind),
        supply.augmentation,
        size=config.size,
        seed=config.seed,
        frozen=frozen_parts(config, network),
        steady=[network.landmarker] if config.freeze_backbone and isinstance(network, HandLGNet) else [],
        only=network.heatmap_net if config.losses == HEATMAPS and isinstance(network, InterShape) else None,
    )
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
        callbacks=[
            ExportWeights(config),
            *([] if config.losses == AUXILIARY else [DrawPredictions(config)]),
            # After the export: what can be resumed has always been exported.
            ModelCheckpoint(
                config.out,
                filename=Path(LAST).stem,
                every_n_epochs=1,
                save_on_train_epoch_end=True,
                enable_version_counter=False,
            ),
            FinalValidation(),
            *([TimeLimit(timedelta(minutes=config.max_minutes))] if config.max_minutes else []),
            *([Progress(config.steps)] if config.progress else []),
            LogSkipped(supply.skipped),
            *callbacks,
        ],
        enable_progress_bar=config.progress,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    training, held_out = data_loaders(config, supply, trainer)
    if trainer.is_global_zero:
        _write_settings(config)
    trainer.fit(module, training, held_out, ckpt_path=resume, weights_only=True)
    return config.out / WEIGHTS


def initial_network(config: TrainConfig, hand_model: HandModel, resumed: bool = False) -> HandsNetwork:
    """The network that a training starts with; where it is resumed, its weights come later."""
    network = build_network(config.network(), hand_model)
    if resumed or config.initial == "random":
        return network
    of_backbone = Path(config.initial).suffix in BACKBONE_SUFFIXES
    if isinstance(network, HandLGNet) and config.initial == "pretrained":
        network.landmarker.load_state_dict(load_hand_landmark_net().state_dict())
        return network
    if config.initial == "pretrained" or of_backbone:
        for backbone in network.backbones():
            load_pretrained(backbone, config.initial if of_backbone else None)
        return network
    start, metadata = load_network(config.initial, hand_model)
    if config.freeze_heatmaps and metadata.get("losses") == AUXILIARY:
        raise ValueError(
            f"{config.initial}: was trained with the losses {AUXILIARY}, which leave the heatmap network as it "
            "started; train it first with the losses heatmaps"
        )
    kinds = (LGNetConfig, HandLGNetConfig)
    if isinstance(network.config, kinds) and start.config == replace(network.config, refine_stage=False):
        network.load_state_dict({**network.state_dict(), **start.state_dict()})
        return network
    if start.config != network.config:
        raise ValueError(
            f"{config.initial}: holds another network ({start.config}) than --preset {config.preset}; "
            "give the preset it was trained with"
        )
    return start.train()


def frozen_parts(config: TrainConfig, network: HandsNetwork) -> list[nn.Module]:
    """What the training leaves as it is."""
    if config.freeze_backbone and isinstance(network, HandLGNet):
        return network.landmarker.encoder.middle_layers() if config.train_deep else [network.landmarker]
    backbones = network.backbones() if config.freeze_early else ()
    early = [layer for backbone in backbones for layer in backbone.early_layers()]
    return [*early, network.heatmap_net] if config.freeze_heatmaps and isinstance(network, InterShape) else early


def on_cuda(config: TrainConfig) -> bool:
    """Whether the training runs on GPUs."""
    return config.device == "cuda" or (config.device == "auto" and torch.cuda.is_available())


def processes(config: TrainConfig) -> tuple[int, int]:
    """How many processes each node runs, and how many nodes there are: as torchrun says if it started this one."""
    if torch.distributed.is_torchelastic_launched():
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        return local, int(os.environ["WORLD_SIZE"]) // local
    return config.devices, 1


def in_steps(config: TrainConfig, supply: DataMixture, world: int) -> TrainConfig:
    """The configuration with its epochs told in steps.

    Raises:
        ValueError: if there are epochs of no or of several sets.
    """
    if not config.epochs:
        return config
    images = supply.shares[0].images
    if len(supply.shares) > 1 or images is None:
        raise ValueError("epochs: only one set that is not generated has epochs; give --steps instead")
    return replace(config, steps=math.ceil(config.epochs * images / (config.batch_size * config.accumulate * world)))


def data_loaders(
    config: TrainConfig, supply: DataMixture, trainer: lightning.Trainer
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """What is trained on, from where the training stands, and what is held out."""
    sampler = StepSampler(
        supply.shares,
        config.batch_size,
        config.epoch_steps * config.accumulate,
        lambda: trainer.global_step * config.accumulate,
        config.seed,
        trainer.global_rank,
        trainer.world_size,
    )
    workers = config.workers if supply.finite else 0
    training: DataLoader[Any] = DataLoader(
        DrawnImages(supply.sources),
        batch_sampler=sampler,  # of draws, which are no plain numbers
        collate_fn=collate,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    validation = DataLoader(supply.held_out(config.validation), config.batch_size, collate_fn=collate)
    return training, validation


def _loggers(out: Path) -> list[Any]:
    """CSV and TensorBoard, a folder for each time the training is started or resumed: ``logs/0``, ``logs/1``, ..."""
    folder = out / "logs"
    session = str(len(list(folder.glob("*"))))
    return [CSVLogger(out, name="logs", version=session), TensorBoardLogger(str(out), name="logs", version=session)]


def _resume_path(config: TrainConfig) -> Path | None:
    last = config.out / LAST
    if config.resume == "auto":
        path = last if last.exists() else None
    elif config.resume == "never":
        if last.exists():
            raise ValueError(
                f"{config.out}: a training was begun there; resume it (--resume auto), or name another folder"
            )
        path = None
    else:
        path = Path(config.resume)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file to resume from; training writes {LAST} into its folder")
    settings = config.out / SETTINGS
    if path is not None and settings.exists():
        before = json.loads(settings.read_text())
        names = ("preset", "backbone", "data", "annotation", "subset", "batch_size", "accumulate", "seed", "validation")
        for name in names:
            now = json.loads(json.dumps(asdict(config)[name], default=str))
            if before.get(name, now) != now:
                raise ValueError(
                    f"{config.out}: was trained with {name}={before.get(name)!r}, now {now!r} is asked; "
                    "give the same, or another folder"
                )
    return path


def _write_settings(config: TrainConfig) -> None:
    text = json.dumps(asdict(config), default=str, indent=2) + "\n"
    (config.out / SETTINGS).write_text(text)


def _augmentation(config: TrainConfig, hand_model: HandModel) -> Augmentation | None:
    flip = 0.5 if config.flip else 0.0
    if config.flip and not hand_model.mirrored:
        log.warning("%s: its left hand is no mirror image of its right one; images are not mirrored", hand_model.name)
        flip = 0.0
    if config.augment:
        moves = Augmentation(rotation=math.radians(config.rotation), flip=flip)
        return moves if config.recolour else replace(moves, background=0.0, photometry=None)
    return Augmentation.mirrors(flip) if flip else None


def _precision(config: TrainConfig, cuda: bool) -> Any:
    if config.precision != "auto":
        return config.precision
    return "bf16-mixed" if cuda else "32-true"
