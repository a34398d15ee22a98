"""``lgnet ablate``: networks trained alike, judged alike, and written into one table."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from lgnet_core.evaluation.benchmark.bench import count_macs, machine_description
from lgnet_core.evaluation.run import run_evaluation
from lgnet_core.evaluation.sets import Choice
from lgnet_core.hand_model import load_hand_model
from lgnet_core.network import HandLGNet
from lgnet_core.network.checkpoint import load_network, read_metadata
from lgnet_core.training.ablation.table import Run, Table
from lgnet_core.training.train import train
from lgnet_core.training.train_config import WEIGHTS, TrainConfig

FIGURES = "figures.json"
SETTINGS = "ablation_settings.json"


@dataclass(frozen=True)
class AblationConfig:
    """What is compared, and under which conditions.

    Args:
        training: of every row; its ``out`` is the ablation's folder, its ``backbone`` that of all networks. Its preset,
            losses and seed are each row's own.
        rows: ``PRESET``, or ``PRESET:LOSSES`` with another loss preset than ``default``.
        seeds: each row is trained with each.
        count: images of the frozen set that it is judged on; None: all.
    """

    training: TrainConfig
    rows: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)
    count: int | None = None

    def __post_init__(self) -> None:
        if not self.rows or not self.seeds:
            raise ValueError("ablate: nothing to compare; name at least one preset and one seed")
        if len(set(self.rows)) < len(self.rows) or len(set(self.seeds)) < len(self.seeds):
            raise ValueError("ablate: a row or a seed is named twice; name each once")
        for row in self.rows:
            self.settings(row, self.seeds[0])  # says what is wrong before anything is trained

    def settings(self, row: str, seed: int) -> TrainConfig:
        """Of one training."""
        preset, _, losses = row.partition(":")
        folder = self.training.out / row.replace(":", "_") / f"seed_{seed}"
        return replace(self.training, out=folder, preset=preset, losses=losses or "default", seed=seed)


def ablate(config: AblationConfig, console: Console | None = None) -> Table:
    """Train and judge every row with every seed that is not done yet; the table is written anew after each.

    Stopped at any time and started again, it goes on where it was: a training resumes, what is done is read.

    Writes ``ablation.json``, ``ablation.md``, and for each training a folder with its logs, weights and evaluation.

    Raises:
        ValueError: if rows or settings make no sense, or the folder holds an ablation under other conditions.
    """
    console = console or Console(quiet=True)
    out = config.training.out
    conditions = _conditions(config)
    _check_conditions(out, conditions)
    runs: list[Run] = []
    table = Table(conditions, machine_description(), runs)
    for seed in config.seeds:  # all rows with one seed first: a table that is cut short compares all of them
        for row in config.rows:
            console.print(f"{row}, seed {seed}")
            runs.append(_run(config, row, seed, console))
            table.write(out)
    return table


def _run(config: AblationConfig, row: str, seed: int, console: Console) -> Run:
    settings = config.settings(row, seed)
    done = settings.out / FIGURES
    if done.exists():
        return Run(**json.loads(done.read_text()))
    weights = settings.out / WEIGHTS
    if not weights.exists() or read_metadata(weights)["steps"] < settings.steps:
        train(settings)
    hand_model = None if settings.hand_model is None else load_hand_model(settings.hand_model)
    report = run_evaluation(
        settings.out / "eval", Choice(), weights, hand_model, config.count, settings.device, console=console
    )
    network, metadata = load_network(weights, hand_model)
    figures = report.figures()
    # A network of one crop per hand always has crops of its own size, whatever they are cut from.
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
    done.write_text(json.dumps(asdict(run), indent=1) + "\n")
    return run


def _conditions(config: AblationConfig) -> dict[str, Any]:
    """What is the same for all rows, JSON-able."""
    own = ("out", "preset", "losses", "seed", "progress", "threads", "workers", "resume")
    shared = {name: value for name, value in asdict(config.training).items() if name not in own}
    judged = {"evaluated_on": Choice().data, "evaluated_images": config.count}
    return json.loads(json.dumps(shared | judged, default=str))


def _check_conditions(out: Path, conditions: dict[str, Any]) -> None:
    path = out / SETTINGS
    if path.exists():
        before = json.loads(path.read_text())
        changed = [f"{name}={before.get(name)!r}" for name, value in conditions.items() if before.get(name) != value]
        if changed:
            raise ValueError(
                f"{out}: holds an ablation under other conditions ({', '.join(changed)}), and rows are comparable only "
                "under the same; give these, or another folder"
            )
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(conditions, indent=1) + "\n")
