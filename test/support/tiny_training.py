"""Configuration and logs of short trainings of a tiny network."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

from lgnet_core.training.train_config import TrainConfig


def tiny_config(out: Path, **changes) -> TrainConfig:
    """Two steps of the preset ``tiny``, which a test registers as :data:`support.train_process.TINY`."""
    config = TrainConfig(
        out=out,
        preset="tiny",
        size=64,
        batch_size=2,
        steps=2,
        epoch_steps=1,
        validation=2,
        warmup=0,
        schedule="wsd",
        initial="random",
        device="cpu",
        progress=False,
    )
    return replace(config, **changes)


def logged_values(out: Path, column: str = "train/total") -> dict[int, float]:
    """A column of the CSV logs by step, from all runs of a training."""
    values = {}
    for path in sorted(out.glob("logs/*/metrics.csv")):
        with path.open() as file:
            values |= {int(r["step"]): float(r[column]) for r in csv.DictReader(file) if r.get(column)}
    return values


def logged_columns(out: Path) -> list[str]:
    """Names of the logged columns."""
    with (out / "logs" / "0" / "metrics.csv").open() as file:
        return list(csv.DictReader(file).fieldnames or [])
