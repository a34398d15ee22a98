"""A training of a tiny network in a process of its own: ``python train_process.py '{"out": ..., ...}'``.

Every process writes which images it drew into ``seen_RANK`` in the run's folder, a line for each batch.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from lgnet_core.network import PRESETS
from lgnet_core.training import train as training
from lgnet_core.training.sampling import SampleIndex, StepSampler
from lgnet_core.training.train_config import TrainConfig

TINY = replace(PRESETS["lgnet-mini"], channels=16, self_joint_depth=1, local_graph="none")
TINY_HAND = replace(PRESETS["lgnet-hand"], channels=16, self_joint_depth=1, hidden_channels=32, regressor_depth=1)


class Recorded(StepSampler):
    """Writes down what it draws."""

    folder: Path

    def __iter__(self) -> Iterator[list[SampleIndex]]:
        with (self.folder / f"seen_{self.rank}").open("a") as file:
            for draws in super().__iter__():
                print(json.dumps(draws), file=file)
                yield draws


def seen(folder: Path) -> list[SampleIndex]:
    """What all processes drew."""
    lines = [line for path in sorted(folder.glob("seen_*")) for line in path.read_text().splitlines()]
    return [SampleIndex(*draw) for line in lines for draw in json.loads(line)]


if __name__ == "__main__":
    torch.set_num_threads(1)
    PRESETS["tiny"] = TINY
    settings = json.loads(sys.argv[1])
    Recorded.folder = Path(settings["out"])
    training.StepSampler = Recorded
    paths = {name: Path(settings[name]) for name in ("out", "root", "hand_model") if settings.get(name)}
    training.train(TrainConfig(**{**settings, **paths}))
