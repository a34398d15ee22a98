"""Tiny networks, and a training of one in a separate process: ``train_process.py '{"out": ..., ...}' [PAUSE_AT]``.

Each process writes the samples it visits to ``samples_RANK`` in the output folder, one batch per line. Before step
PAUSE_AT it waits until it is killed.
"""

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback

from lgnet_core.network import PRESETS
from lgnet_core.training import train as training
from lgnet_core.training.sampling import SampleIndex, StepSampler
from lgnet_core.training.train_config import TrainConfig

TINY = replace(PRESETS["lgnet-mini"], channels=16, self_joint_depth=1, local_graph="none")
TINY_HAND = replace(PRESETS["lgnet-hand"], channels=16, self_joint_depth=1, hidden_channels=32, regressor_depth=1)


class RecordingSampler(StepSampler):
    """Sampler that records its batches."""

    folder: Path

    def __iter__(self) -> Iterator[list[SampleIndex]]:
        with (self.folder / f"samples_{self.rank}").open("a") as file:
            for batch in super().__iter__():
                print(json.dumps(batch), file=file)
                yield batch


class Pause(Callback):
    """Wait for ever before a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *_: object) -> None:
        if trainer.global_step == self.step:
            threading.Event().wait()


def visited_samples(folder: Path) -> list[SampleIndex]:
    """Samples that all processes visited."""
    lines = [line for path in sorted(folder.glob("samples_*")) for line in path.read_text().splitlines()]
    return [SampleIndex(*sample) for line in lines for sample in json.loads(line)]


if __name__ == "__main__":
    torch.set_num_threads(1)
    PRESETS["tiny"] = TINY
    settings = json.loads(sys.argv[1])
    RecordingSampler.folder = Path(settings["out"])
    training.StepSampler = RecordingSampler
    paths = {name: Path(settings[name]) for name in ("out", "root", "hand_model") if settings.get(name)}
    training.train(TrainConfig(**{**settings, **paths}), [Pause(int(step)) for step in sys.argv[2:]])
