"""``lgnet demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from lgnet_core.cli.options import (
    DeviceOption,
    EngineName,
    EngineOption,
    HandModelPath,
    Threads,
    Weights,
    console,
    print_line,
)
from lgnet_core.io.interruption import on_interruption


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the images.")] = Path("out/lgnet_demo"),
    weights: Weights = None,
    hand_model: HandModelPath = None,
    device: DeviceOption = "auto",
    engine: EngineOption = EngineName.auto,
    threads: Threads = None,
) -> None:
    """Estimate the hands in the bundled clip and write images of the result."""
    from lgnet_core.commands.demo import run_demo
    from lgnet_core.inference import HandEstimator
    from lgnet_core.io.output import make_folder

    make_folder(out)
    with console.status("loading the network"):
        estimator = HandEstimator.load(weights, device, hand_model, engine.value, threads=threads)
    with on_interruption(lambda: f"the images so far are in {out}"):
        summary = run_demo(estimator, out, console=console)
    scores = summary.scores
    extra = f", {scores.extra} false positives" if scores.extra else ""
    table = Table(title="lgnet demo: the bundled synthetic clip", show_header=False)
    for row in (
        ("frames", f"{summary.frames}"),
        ("hands found", f"{scores.found} of {scores.found + scores.missed}{extra}"),
        ("mean 2D joint error", f"{scores.error_pixels:.1f} px"),
        ("mean joint error, wrist-relative", f"{scores.error_relative:.1f} mm"),
        ("mean wrist position error", f"{scores.error_wrist:.1f} mm"),
        ("estimator", f"{summary.frames_per_second:.1f} frames/s, {estimator.engines['hands']}"),
    ):
        table.add_row(*row)
    console.print(table)
    console.print("Results:")
    for path in (summary.sheet, summary.view, summary.folder / "overlay.mp4"):
        if path.exists():
            print_line(f"  {path}")
