"""A training of a tiny network in a process of its own: ``python train_process.py '{"out": ..., ...}'``."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from lgnet_core.network import PRESETS
from lgnet_core.training.train import train
from lgnet_core.training.train_config import TrainConfig

TINY = replace(PRESETS["lgnet-mini"], channels=16, self_joint_depth=1, local_graph="none")

if __name__ == "__main__":
    torch.set_num_threads(1)
    PRESETS["tiny"] = TINY
    settings = json.loads(sys.argv[1])
    train(TrainConfig(**{**settings, "out": Path(settings["out"])}))
