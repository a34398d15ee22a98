"""Ablation study: train and evaluate several networks under equal conditions (``lgnet ablate``)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from lgnet_core.evaluation.benchmark.bench import count_macs
from lgnet_core.evaluation.benchmark.machine import machine_description
from lgnet_core.evaluation.datasets.factory import DatasetConfig
from lgnet_core.evaluation.run import run_evaluation
from lgnet_core.hand_model import load_hand_layer
from lgnet_core.io.checkpoint_files import read_metadata
from lgnet_core.io.output import make_folder, write_text
from lgnet_core.network import HandLGNet
from lgnet_core.network.checkpoint import load_network
from lgnet_core.training.ablation.table import Run, Table
from lgnet_core.training.schedule import FORMER_SCHEDULE_NAMES
from lgnet_core.training.train import train
from lgnet_core.training.train_config import WEIGHTS, TrainConfig

FIGURES = "figures.json"
SETTINGS = "ablation_settings.json"


@dataclass(frozen=True)
class AblationConfig:
    """Rows and conditions of an ablation.

    Args:
        training: configuration of all trainings; ``out`` is the ablation's folder, and ``backbone`` is common to all
            networks. Preset, losses and seed are replaced by those of each row.
        rows: ``PRESET``, or ``PRESET:LOSSES`` for a loss preset other than ``default``.
        seeds: seeds with which each row is trained.
        count: number of images of the frozen evaluation set; None: all.

    Raises:
        ValueError: if rows or seeds are missing, repeated or invalid.
    """

    training: TrainConfig
    rows: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)
    count: int | None = None

    def __post_init__(self) -> None:
        if not self.rows or not self.seeds:
            raise ValueError("ablate: nothing to compare; give at least one preset and one seed")
        if len(set(self.rows)) < len(self.rows) or len(set(self.seeds)) < len(self.seeds):
            raise ValueError("ablate: a row or a seed is repeated; give each once")
        for row in self.rows:
            self.settings(row, self.seeds[0])  # raises for invalid rows before anything is trained

    def settings(self, row: str, seed: int) -> TrainConfig:
        """Training configuration of one row and seed."""
        preset, _, losses = row.partition(":")
        folder = self.training.out / row.replace(":", "_") / f"seed_{seed}"
        return replace(self.training, out=folder, preset=preset, losses=losses or "default", seed=seed)


def ablate(config: AblationConfig, console: Console | None = None) -> Table:
    """Train and evaluate every row with every seed; the table is rewritten after each.

    An interrupted ablation can be restarted: its current training is resumed, and completed results are read.

    Writes ``ablation.json``, ``ablation.md``, and a folder with logs, weights and evaluation for each training.

    Raises:
        ValueError: if the folder contains an ablation under other conditions.
    """
    console = console or Console(quiet=True)
    out = config.training.out
    conditions = _conditions(config)
    _check_conditions(out, conditions)
    runs: list[Run] = []
    table = Table(conditions, machine_description(), runs)
    for seed in config.seeds:  # all rows with one seed first, so that an interrupted table compares all rows
        for row in config.rows:
            console.print(f"{row}, seed {seed}")
            runs.append(_run(config, row, seed, console))
            table.write(out)
    return table


def _run(config: AblationConfig, row: str, seed: int, console: Console) -> Run:
    settings = config.settings(row, seed)
    result_path = settings.out / FIGURES
    if result_path.exists():
        return Run(**json.loads(result_path.read_text()))
    weights = settings.out / WEIGHTS
    if not weights.exists() or read_metadata(weights)["steps"] < settings.steps:
        train(settings)
    hand_model = None if settings.hand_model is None else load_hand_layer(settings.hand_model)
    report = run_evaluation(
        settings.out / "eval", DatasetConfig(), weights, hand_model, config.count, settings.device, console=console
    )
    network, metadata = load_network(weights, hand_model)
    figures = report.metrics()
    # The input size of a per-hand network is fixed, whatever the size of the images.
    inputs = network.example_inputs() if isinstance(network, HandLGNet) else network.example_inputs(settings.size)
    run = Run(
        row=row,
        seed=seed,
        parameters=sum(p.numel() for p in network.parameters()),
        macs=count_macs(network, inputs),
        images=metadata["images"],
        commit=metadata["commit"],
        figures={name: values["weights"] for name, values in figures.items()},
        mean_pose={name: values["mean_pose"] for name, values in figures.items()},
    )
    write_text(result_path, json.dumps(asdict(run), indent=1) + "\n")
    return run


def _conditions(config: AblationConfig) -> dict[str, Any]:
    """Conditions common to all rows, as JSON."""
    row_settings = ("out", "preset", "losses", "seed", "progress", "threads", "workers", "resume")
    shared = {name: value for name, value in asdict(config.training).items() if name not in row_settings}
    evaluation = {"evaluated_on": DatasetConfig().data, "evaluated_images": config.count}
    return json.loads(json.dumps(shared | evaluation, default=str))


def _check_conditions(out: Path, conditions: dict[str, Any]) -> None:
    path = out / SETTINGS
    if path.exists():
        before = json.loads(path.read_text())
        schedule = before.get("schedule")
        before["schedule"] = FORMER_SCHEDULE_NAMES.get(schedule, schedule)
        changed = [f"{name}={before.get(name)!r}" for name, value in conditions.items() if before.get(name) != value]
        if changed:
            raise ValueError(
                f"{out}: contains an ablation under other conditions ({', '.join(changed)}), so its rows would not be "
                "comparable; use these conditions, or another folder"
            )
    make_folder(out)
    write_text(path, json.dumps(conditions, indent=1) + "\n")
