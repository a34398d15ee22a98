"""``lgnet bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lgnet_core.cli.options import DeviceOption, EngineName, HandModelPath, Weights, console, print_line, wide_console


def bench(
    preset: Annotated[
        list[str] | None,
        typer.Option("--preset", "-p", help="Network to measure by itself; may be repeated. Default: all."),
    ] = None,
    engine: Annotated[
        list[EngineName] | None,
        typer.Option("--engine", "-e", help="May be repeated. Default: eager and the fastest one."),
    ] = None,
    weights: Weights = None,
    hand_model: HandModelPath = None,
    device: DeviceOption = "auto",
    repetitions: Annotated[int, typer.Option("--repetitions", "-n", min=1, help="Timed calls of each.")] = 50,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads. Default: one per core available to the process.")
    ] = None,
    size: Annotated[
        int | None, typer.Option("--size", min=32, help="Side of the networks' crops, pixels. Default: their own.")
    ] = None,
    beside: Annotated[int, typer.Option(min=0, help="Number of busy background processes.")] = 0,
    out: Annotated[Path | None, typer.Option("--json", "-o", help="Also write the figures to this file.")] = None,
) -> None:
    """Measure latency per stage of the pipeline, and parameters, MACs, latency and memory of each preset."""
    from lgnet_core.evaluation.benchmark.bench import run_bench
    from lgnet_core.hand_model import load_hand_layer
    from lgnet_core.io.output import check_output_file
    from lgnet_core.network import PRESETS

    if out is not None:
        check_output_file(out)

    presets = tuple(PRESETS) if preset is None else preset
    engines = [name.value for name in engine] if engine else None
    with console.status("measuring"):
        report = run_bench(
            load_hand_layer(hand_model),
            presets,
            engines,
            device,
            repetitions,
            threads=threads,
            size=size,
            weights=weights,
            background_processes=beside,
        )
    for table in report.tables():
        wide_console().print(table)
    if out is not None:
        report.save(out)
        print_line(f"figures: {out}")
