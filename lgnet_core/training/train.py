"""``train(TrainConfig(...))``: the training entry that ``lgnet train`` fills in."""

from __future__ import annotations

import json
import logging
import subprocess
import time
import warnings
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint, RichProgressBar
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader, Dataset, Subset

from lgnet_core.checkpoint import load_network, save_network
from lgnet_core.data.augment import Augmentation
from lgnet_core.data.sample import HandsBatch, concatenate
from lgnet_core.data.synthetic.generator import SyntheticHands
from lgnet_core.data.synthetic.stored import StoredHands
from lgnet_core.hand_model import HandModel, load_hand_model
from lgnet_core.network import LGNet, build_network, find_config, load_imagenet_weights
from lgnet_core.training.loss_config import loss_weights
from lgnet_core.training.module import Optimisation, TrainingModule
from lgnet_core.training.stream import EndlessHands, StepSampler

SYNTHETIC = "synthetic"
LAST = "last.ckpt"
WEIGHTS = "weights.safetensors"
SETTINGS = "settings.json"


@dataclass(frozen=True)
class TrainConfig:
    """Everything a training is decided by.

    Args:
        out: the run's folder: logs, ``last.ckpt`` (to resume), ``weights.safetensors`` (averaged weights, to use).
        preset: of the network, see :data:`lgnet_core.network.PRESETS`.
        data: ``synthetic`` (generated while training) or the folder of a stored set (``lgnet synth``).
        hand_model: folder of a converted MANO; None for the bundled hand.
        size: side of the pictures that the network sees, a multiple of 32.
        batch_size: pictures a step and device.
        steps: of the whole training.
        epoch_steps: after how many steps it validates, saves and exports.
        max_minutes: stop (and save) after this much wall-clock time; 0: no limit.
        optimiser, learning_rate, weight_decay, schedule, warmup, clip, ema_decay: see
            :class:`lgnet_core.training.module.Optimisation`. The paper's: adam, 1e-4, 0, paper.
        losses: ``default`` or ``paper``, see :class:`lgnet_core.training.loss_config.LossWeights`.
        augment: change the training pictures at random.
        flip: mirror half of them too; leave out for hand models whose hands are no mirror images (MANO).
        validation: pictures held out of a stored set (its last ones), or generated from another seed.
        refine: False trains the joint and mesh stages alone, a third faster on a CPU; give the result as ``initial`` of
            a training of the whole network, whose refine stage then starts from offsets of 0.
        initial: ``imagenet`` (the backbone's weights as the installed packages bring them), ``random``, or a
            ``.safetensors`` file to go on from.
        freeze_early: leave the backbone's layers up to stride 4 as they start: a third less work a step on a CPU.
        resume: ``auto`` (from the run's folder, if it was begun), ``never``, or a ``.ckpt`` file. Only resume what you
            wrote yourself: a ``.ckpt`` is a pickle, although it is read without running code.
        device: ``auto``, ``cpu``, ``cuda``. devices: how many.
        precision: ``auto`` (bfloat16 with CUDA, else single), or Lightning's name of one.
        threads: of torch on the CPU; 0 leaves its choice.
        workers: processes that read a stored set; pictures that are generated come from the training process.
        seed: of weights, order and augmentation.
        progress: show the bar.
    """

    out: Path
    preset: str = "lgnet-mini"
    data: str = SYNTHETIC
    hand_model: Path | None = None
    size: int = 256
    batch_size: int = 32
    steps: int = 100_000
    epoch_steps: int = 500
    max_minutes: float = 0.0
    optimiser: str = "adamw"
    learning_rate: float = 3e-4
    weight_decay: float = 0.01
    schedule: str = "cosine"
    warmup: int = 500
    clip: float = 1.0
    ema_decay: float = 0.999
    losses: str = "default"
    augment: bool = True
    flip: bool = True
    refine: bool = True
    validation: int = 256
    initial: str = "imagenet"
    freeze_early: bool = False
    resume: str = "auto"
    device: str = "auto"
    devices: int = 1
    precision: str = "auto"
    threads: int = 0
    workers: int = 0
    seed: int = 0
    progress: bool = True

    def __post_init__(self) -> None:
        if self.size % 32 or self.size <= 0:
            raise ValueError(f"size {self.size}: give a positive multiple of 32, e.g. 128, 160 or 256")
        for name in ("batch_size", "epoch_steps", "validation"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: give at least 1")
        self.optimisation()
        loss_weights(self.losses)

    def optimisation(self) -> Optimisation:
        """The part that the module takes."""
        return Optimisation(
            optimiser=self.optimiser,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            schedule=self.schedule,
            steps=self.steps,
            warmup=self.warmup,
            clip=self.clip,
            ema_decay=self.ema_decay,
        )


def train(config: TrainConfig) -> Path:
    """Train a network, or go on with a training that was stopped.

    Returns:
        The exported weights: ``weights.safetensors`` in the run's folder.

    Raises:
        ValueError: if the settings contradict each other, the data, or the training to be resumed.
        FileNotFoundError: if data, hand model, initial weights or the file to resume from are missing.
    """
    config.out.mkdir(parents=True, exist_ok=True)
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings(
        "ignore",
        message=".*(exists and is not empty|LeafSpec|does not have many workers|dataloader is not resumable).*",
    )
    if config.threads:
        torch.set_num_threads(config.threads)
    cuda = config.device == "cuda" or (config.device == "auto" and torch.cuda.is_available())
    resume = _resume_path(config)
    lightning.seed_everything(config.seed, verbose=False)
    hand_model = load_hand_model(config.hand_model)
    network = initial_network(config, hand_model, resumed=resume is not None)
    module = TrainingModule(
        network.to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        config.optimisation(),
        loss_weights(config.losses),
        Augmentation(flip=0.5 if config.flip else 0.0) if config.augment else None,
        size=config.size,
        seed=config.seed,
        freeze_early=config.freeze_early,
    )
    trainer = lightning.Trainer(
        accelerator="cuda" if cuda else "cpu",
        devices=config.devices,
        strategy="ddp" if config.devices > 1 else "auto",
        precision=_precision(config, cuda),
        max_steps=config.steps,
        limit_train_batches=config.epoch_steps,
        num_sanity_val_steps=0,
        log_every_n_steps=min(20, config.epoch_steps),
        logger=_loggers(config.out),
        callbacks=[
            ExportWeights(config),
            # After the export: what can be resumed has always been exported.
            ModelCheckpoint(
                config.out,
                filename=Path(LAST).stem,
                every_n_epochs=1,
                save_on_train_epoch_end=True,
                enable_version_counter=False,
            ),
            *([StopAfter(timedelta(minutes=config.max_minutes))] if config.max_minutes else []),
            *([Progress(config.steps)] if config.progress else []),
        ],
        enable_progress_bar=config.progress,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    generator_device = "cuda" if cuda else "cpu"
    training, held_out = data_loaders(config, hand_model, lambda: trainer.global_step, trainer, generator_device)
    _write_settings(config)
    trainer.fit(module, training, held_out, ckpt_path=resume, weights_only=True)
    return config.out / WEIGHTS


def initial_network(config: TrainConfig, hand_model: HandModel, resumed: bool = False) -> LGNet:
    """The network that a training starts with; where it is resumed, its weights come later."""
    preset = find_config(config.preset)
    network = build_network(preset if config.refine else replace(preset, refine_stage=False), hand_model)
    if resumed or config.initial == "random":
        return network
    if config.initial == "imagenet":
        load_imagenet_weights(network.backbone)
        return network
    start, _ = load_network(config.initial, hand_model)
    if start.config == replace(network.config, refine_stage=False):
        network.load_state_dict({**network.state_dict(), **start.state_dict()})
        return network
    if start.config != network.config:
        raise ValueError(
            f"{config.initial}: holds another network ({start.config}) than --preset {config.preset}; "
            "give the preset it was trained with"
        )
    return start.train()


def data_loaders(
    config: TrainConfig,
    hand_model: HandModel,
    position: Any,
    trainer: lightning.Trainer,
    device: str,
) -> tuple[DataLoader[HandsBatch], DataLoader[HandsBatch]]:
    """What is trained on, from step ``position()``, and what is held out."""
    if config.data == SYNTHETIC:
        pictures = None
        dataset: Dataset[HandsBatch] = EndlessHands(SyntheticHands(config.seed, hand_model, device), config.size)
        other = SyntheticHands(config.seed + 1, hand_model, device)
        batches = torch.arange(config.validation).split(config.batch_size)
        held_out: Any = [other.crops(indices, config.size).to("cpu") for indices in batches]
        validation = DataLoader(held_out, batch_size=None)
    else:
        stored = StoredHands(Path(config.data), hand_model)
        pictures = len(stored) - config.validation
        if pictures < 1:
            raise ValueError(
                f"{config.data}: {len(stored)} pictures, of which --validation {config.validation} holds all back; "
                "hold back fewer, or store more"
            )
        dataset = Subset(stored, range(pictures))
        held = Subset(stored, range(pictures, len(stored)))
        validation = DataLoader(held, config.batch_size, collate_fn=concatenate)
    sampler = StepSampler(
        pictures,
        config.batch_size,
        config.epoch_steps,
        position,
        config.seed,
        trainer.global_rank,
        trainer.world_size,
    )
    workers = config.workers if pictures is not None else 0
    training = DataLoader(
        dataset,
        batch_sampler=sampler,
        collate_fn=concatenate,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    return training, validation


class ExportWeights(Callback):
    """After every epoch, the averaged weights as a file that :func:`lgnet_core.checkpoint.load_network` reads."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.commit = _commit()

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        assert isinstance(module, TrainingModule)
        network = module.average.module
        assert isinstance(network, LGNet)
        config = self.config
        metadata = {
            "preset": config.preset,
            "data": config.data,
            "size": config.size,
            "losses": config.losses,
            "commit": self.commit,
            "steps": trainer.global_step,
            "pictures": trainer.global_step * config.batch_size * trainer.world_size,
            "figures": {
                name.removeprefix("val/"): round(float(value), 4)
                for name, value in trainer.callback_metrics.items()
                if name.startswith("val/")
            },
        }
        save_network(config.out / WEIGHTS, network, metadata, half=True)


class StopAfter(Callback):
    """End the training, as if its steps were done, when a time has passed since it was started or resumed."""

    def __init__(self, duration: timedelta) -> None:
        self.deadline = time.monotonic() + duration.total_seconds()

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        if time.monotonic() > self.deadline:
            trainer.should_stop = True


class Progress(RichProgressBar):
    """Lightning's bar, counting the steps of the whole training."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def get_metrics(self, *arguments: Any) -> dict[str, Any]:
        return {name: value for name, value in super().get_metrics(*arguments).items() if name != "v_num"}

    def _get_train_description(self, current_epoch: int) -> str:
        return f"step {self.trainer.global_step} of {self.steps}"


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
        for name in ("preset", "data", "batch_size", "seed"):
            now = json.loads(json.dumps(asdict(config)[name], default=str))
            if before.get(name) != now:
                raise ValueError(
                    f"{config.out}: was trained with {name}={before.get(name)!r}, now {now!r} is asked; "
                    "give the same, or another folder"
                )
    return path


def _write_settings(config: TrainConfig) -> None:
    text = json.dumps(asdict(config), default=str, indent=2) + "\n"
    (config.out / SETTINGS).write_text(text)


def _precision(config: TrainConfig, cuda: bool) -> Any:
    if config.precision != "auto":
        return config.precision
    return "bf16-mixed" if cuda else "32-true"


def _commit() -> str:
    """The repository's commit, with a ``+`` where files differ from it; empty where the package is installed."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""
