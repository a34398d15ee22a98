"""Lightning callbacks: weight export, prediction sheets, time limit, final validation and progress bar."""

from __future__ import annotations

import logging
import subprocess
import time
import warnings
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import Callback, RichProgressBar

from lgnet_core.data.augmentation import resize
from lgnet_core.data.sample import HandsBatch
from lgnet_core.evaluation.report.prediction_sheet import draw_prediction
from lgnet_core.network import HandsNetwork, HandsPrediction
from lgnet_core.network.checkpoint import save_network
from lgnet_core.training.features.batch import FeatureBatch
from lgnet_core.training.module import TrainingModule
from lgnet_core.training.train_config import WEIGHTS, TrainConfig
from lgnet_core.visualization.drawing import contact_sheet, write_png

log = logging.getLogger(__name__)


class ExportWeights(Callback):
    """Export the averaged weights after every epoch, for :func:`lgnet_core.network.checkpoint.load_network`."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.commit = current_commit()

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        config = self.config
        metadata = {
            "preset": config.preset,
            "data": config.data,
            "size": config.size,
            "losses": config.losses,
            "commit": self.commit,
            "steps": trainer.global_step,
            "images": trainer.global_step * config.batch_size * config.accumulate * trainer.world_size,
            "figures": {
                name.removeprefix("val/"): round(float(value), 4)
                for name, value in trainer.callback_metrics.items()
                if name.startswith("val/")
            },
        }
        save_network(config.out / WEIGHTS, _averaged_network(module), metadata, half=True)


class DrawPredictions(Callback):
    """Draw the averaged network's predictions for the first held-out images after every epoch.

    Writes contact sheets ``sheets/step_000400.png`` into the output folder, for visual inspection of the progress.
    """

    MAX_IMAGES, COLUMNS = 16, 4

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.sample: HandsBatch | FeatureBatch | None = None

    def on_validation_batch_start(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        batch: HandsBatch | FeatureBatch,
        index: int,
        *_: Any,
    ) -> None:
        if index == 0:
            self.sample = batch

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        if self.sample is None or not trainer.is_global_zero:
            return
        assert isinstance(module, TrainingModule)
        network = _averaged_network(module)
        sample: HandsBatch | FeatureBatch
        if isinstance(self.sample, FeatureBatch):
            sample = self.sample
            full_size = network_size = sample.batch
        else:
            full_size = self.sample[: self.MAX_IMAGES]
            sample = network_size = resize(full_size, self.config.size)
        with torch.inference_mode():
            labels = network_size.labels(network.hand_model)
            prediction, _ = module.predict(sample, labels, network.eval(), training=False)
            prediction = HandsPrediction(*(value[: self.MAX_IMAGES] for value in prediction))
            images = draw_prediction(
                prediction, network_size[: self.MAX_IMAGES], full_size[: self.MAX_IMAGES], network.hand_model
            )
        folder = self.config.out / "sheets"
        folder.mkdir(exist_ok=True)
        sheet = contact_sheet(images, self.COLUMNS, full_size.image.shape[-1])
        write_png(folder / f"step_{trainer.global_step:06d}.png", sheet)


class LogSkipped(Callback):
    """Log the number of unusable images after every epoch in which it has changed.

    Args:
        skipped: returns the counts by reason.
    """

    def __init__(self, skipped: Callable[[], dict[str, int]]) -> None:
        self.skipped, self._logged = skipped, skipped()

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        counts = self.skipped()
        if counts != self._logged and trainer.is_global_zero:
            log.warning("skipped so far: %s", ", ".join(f"{count} x {reason}" for reason, count in counts.items()))
        self._logged = counts


class TimeLimit(Callback):
    """Stop at the end of the step in which a time limit has passed since the training was started or resumed.

    The first process decides for all: if each used its own clock, one could stop while the others wait for it.
    """

    def __init__(self, duration: timedelta) -> None:
        self.deadline = time.monotonic() + duration.total_seconds()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        step_complete = (index + 1) % trainer.accumulate_grad_batches == 0
        if step_complete and trainer.strategy.broadcast(time.monotonic() > self.deadline):
            trainer.should_stop = True


class FinalValidation(Callback):
    """Validate after the last step even in the middle of an epoch; Lightning itself validates after whole epochs."""

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        trainer.should_stop |= trainer.global_step >= trainer.max_steps


class StepProgressBar(RichProgressBar):
    """Progress bar that shows the step of the whole training."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def get_metrics(self, *arguments: Any) -> dict[str, Any]:
        return {name: value for name, value in super().get_metrics(*arguments).items() if name != "v_num"}

    def _get_train_description(self, current_epoch: int) -> str:
        return f"step {self.trainer.global_step} of {self.steps}"


def silence_lightning() -> None:
    """Suppress Lightning's information messages and its warnings about intended settings."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings(
        "ignore",
        message=".*(exists and is not empty|LeafSpec|does not have many workers|dataloader is not resumable).*",
    )


@cache
def current_commit() -> str:
    """Commit of the repository, with ``+`` if tracked files are modified; empty for an installed package.

    Cached at the first call, so that all networks trained by one process record the code that the process runs.
    """

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def _averaged_network(module: lightning.LightningModule) -> HandsNetwork:
    assert isinstance(module, TrainingModule)
    network = module.average.module
    assert isinstance(network, HandsNetwork)
    return network
