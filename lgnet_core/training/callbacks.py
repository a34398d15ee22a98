"""What happens beside a training's steps: weights are exported, predictions drawn, time runs out, the bar moves."""

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
from lgnet_core.evaluation.prediction_sheet import draw_prediction
from lgnet_core.network import HandsNetwork, HandsPrediction
from lgnet_core.network.checkpoint import save_network
from lgnet_core.training.feature_shards import FeatureBatch
from lgnet_core.training.module import TrainingModule
from lgnet_core.training.train_config import WEIGHTS, TrainConfig
from lgnet_core.visualization.drawing import contact_sheet, write_png

log = logging.getLogger(__name__)


class ExportWeights(Callback):
    """After every epoch, the averaged weights as a file that :func:`lgnet_core.network.checkpoint.load_network`
    reads."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.commit = current_commit()

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        assert isinstance(module, TrainingModule)
        network = module.average.module
        assert isinstance(network, HandsNetwork)
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
        save_network(config.out / WEIGHTS, network, metadata, half=True)


class DrawPredictions(Callback):
    """After every epoch a sheet of the first held-out images with what the averaged network reports in them.

    ``sheets/step_000400.png`` in the run's folder: a person sees what the network has learnt, and what it has not.
    """

    IMAGES, COLUMNS = 16, 4

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
        network = module.average.module
        assert isinstance(network, HandsNetwork)
        sample: HandsBatch | FeatureBatch
        if isinstance(self.sample, FeatureBatch):
            sample = self.sample
            batch = given = sample.batch
        else:
            batch = self.sample[: self.IMAGES]
            sample = given = resize(batch, self.config.size)
        with torch.inference_mode():
            labels = given.labels(network.hand_model)
            prediction, _ = module.predict(sample, labels, network.eval(), training=False)
            shown = HandsPrediction(*(value[: self.IMAGES] for value in prediction))
            drawn = draw_prediction(shown, given[: self.IMAGES], batch[: self.IMAGES], network.hand_model)
        folder = self.config.out / "sheets"
        folder.mkdir(exist_ok=True)
        sheet = contact_sheet(drawn, self.COLUMNS, batch.image.shape[-1])
        write_png(folder / f"step_{trainer.global_step:06d}.png", sheet)


class LogSkipped(Callback):
    """After an epoch, what of the data could not be used, if that became more.

    Args:
        skipped: gives the counts by reason.
    """

    def __init__(self, skipped: Callable[[], dict[str, int]]) -> None:
        self.skipped, self.told = skipped, skipped()

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        now = self.skipped()
        if now != self.told and trainer.is_global_zero:
            log.warning("left out so far: %s", ", ".join(f"{count} x {reason}" for reason, count in now.items()))
        self.told = now


class TimeLimit(Callback):
    """End the training, as if its steps were done, when a time has passed since it was started or resumed.

    The first process' clock decides for all: one that stopped alone would wait for the others without end.
    """

    def __init__(self, duration: timedelta) -> None:
        self.deadline = time.monotonic() + duration.total_seconds()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        whole_step = (index + 1) % trainer.accumulate_grad_batches == 0
        if whole_step and trainer.strategy.broadcast(time.monotonic() > self.deadline):
            trainer.should_stop = True


class FinalValidation(Callback):
    """The last step ends with a validation, even where it does not end an epoch: Lightning has none there otherwise."""

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        trainer.should_stop |= trainer.global_step >= trainer.max_steps


class Progress(RichProgressBar):
    """Lightning's bar, counting the steps of the whole training."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def get_metrics(self, *arguments: Any) -> dict[str, Any]:
        return {name: value for name, value in super().get_metrics(*arguments).items() if name != "v_num"}

    def _get_train_description(self, current_epoch: int) -> str:
        return f"step {self.trainer.global_step} of {self.steps}"


def silence_lightning() -> None:
    """Keep back what Lightning tells of itself, and its warnings of what is meant to be so."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings(
        "ignore",
        message=".*(exists and is not empty|LeafSpec|does not have many workers|dataloader is not resumable).*",
    )


@cache
def current_commit() -> str:
    """The repository's commit, with a ``+`` where files differ from it; empty where the package is installed.

    As it was when a process first asked: a process that trains several networks trains them all with the code that it
    started with.
    """

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""
