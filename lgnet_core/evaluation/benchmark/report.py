"""Results of ``lgnet bench`` as JSON and as tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from lgnet_core.io.output import write_text


class Latency(NamedTuple):
    """Percentiles over single calls, milliseconds."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Latency:
        """From the durations of single calls, seconds."""
        return cls(*(round(float(p) * 1000, 3) for p in np.percentile(seconds, (50, 95, 99))))

    def __str__(self) -> str:
        return " / ".join(f"{value:.1f}" for value in self)


@dataclass(frozen=True)
class NetworkCost:
    """Cost of a network in one engine, with random weights, which cost the same as trained ones.

    Args:
        network: name of the preset, followed by that of the module where several run in engines.
        inputs: name and shape of each input, without the batch dimension.
        parameters, macs: their number, and multiply-accumulates of one item (convolutions and matrix products only).
        latency: ``network``, of one item, and ``network/MODULE`` if the engine runs the modules individually.
        peak_memory_mb: of the GPU, else of the whole process, while loading and running.
    """

    network: str
    engine: str
    device: str
    precision: str
    inputs: dict[str, tuple[int, ...]]
    parameters: int
    macs: int
    latency: dict[str, Latency]
    peak_memory_mb: float


@dataclass(frozen=True)
class PipelineCost:
    """Cost of the estimator and the tracker on the frames of the demo clip.

    Args:
        weights: ``"bundled"``, or the file.
        hands: mean number of hands reported by the tracker per image.
        latency: ``estimate``: one image with detection; ``update``: of the tracker, which detects only occasionally,
            and ``update/STAGE``; ``NAME xB``: the engine of that name with batch size B.
        images_per_second: of ``update`` at its median.
        peak_memory_mb: as in :class:`NetworkCost`.
    """

    weights: str
    engine: str
    device: str
    hands: float
    latency: dict[str, Latency]
    images_per_second: float
    peak_memory_mb: float


@dataclass(frozen=True)
class BenchmarkReport:
    """Measurements and the machine they were made on.

    Args:
        machine: see :func:`lgnet_core.evaluation.benchmark.machine.machine_description`.
        image_size: width and height of the pipeline's images, pixels.
        background_processes: number of busy processes during the measurement.
    """

    machine: dict[str, Any]
    image_size: tuple[int, int]
    background_processes: int
    pipelines: list[PipelineCost]
    networks: list[NetworkCost]

    def save(self, path: str | Path) -> None:
        """Write as JSON."""
        document = {
            "machine": self.machine,
            "background_processes": self.background_processes,
            "image_size": list(self.image_size),
            "unit": "ms",
            "pipelines": [_row(cost) for cost in self.pipelines],
            "networks": [_row(cost) for cost in self.networks],
        }
        write_text(Path(path), json.dumps(document, indent=2) + "\n")

    def tables(self) -> list[Table]:
        """Tables for a terminal."""
        return [self._pipeline_table(), self._network_table()]

    def _pipeline_table(self) -> Table:
        width, height = self.image_size
        table = self._table(f"lgnet bench: images of {width}x{height} with two hands; p50 / p95 / p99 in ms")
        for name in ("weights", "engine", "stage", "time", "1/s", "hands", "MB"):
            table.add_column(name, justify="left" if name in ("weights", "engine", "stage") else "right")
        for cost in self.pipelines:
            first, *rest = cost.latency.items()
            whole = (f"{cost.images_per_second:.1f}", f"{cost.hands:.2f}", f"{cost.peak_memory_mb:.0f}")
            table.add_row(cost.weights, f"{cost.engine} {cost.device}", first[0], str(first[1]), *whole)
            for stage, latency in rest:
                table.add_row("", "", stage, str(latency), style="dim" if stage != "update" else None)
        return table

    def _network_table(self) -> Table:
        table = self._table("Networks, random weights, one item; p50 / p95 / p99 in ms")
        for name in ("network", "input", "engine", "M params", "GMAC", "time", "MB"):
            table.add_column(name, justify="left" if name in ("network", "input", "engine") else "right")
        for cost in self.networks:
            shape = "x".join(map(str, next(iter(cost.inputs.values()))))
            counts = (f"{cost.parameters / 1e6:.1f}", f"{cost.macs / 1e9:.2f}")
            engine = f"{cost.engine} {cost.device} {cost.precision}"
            time, memory = str(cost.latency["network"]), f"{cost.peak_memory_mb:.0f}"
            table.add_row(cost.network, shape, engine, *counts, time, memory)
            for part, latency in cost.latency.items():
                if part != "network":
                    table.add_row(f"  {part}", *[""] * 4, str(latency), "", style="dim")
        return table

    def _table(self, title: str) -> Table:
        machine = self.machine
        load = f", {self.background_processes} background processes" if self.background_processes else ""
        caption = f"{machine['processor']}, {machine['threads']} threads{load}, torch {machine['torch']}"
        return Table(title=title, caption=caption)


def _row(cost: PipelineCost | NetworkCost) -> dict[str, Any]:
    return asdict(cost) | {"latency": {stage: latency._asdict() for stage, latency in cost.latency.items()}}
