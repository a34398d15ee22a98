"""``lgnet eval``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lgnet_core.cli.options import (
    AnnotationOption,
    DataRoot,
    DeviceOption,
    HandModelPath,
    SubsetOption,
    Threads,
    Weights,
    console,
    print_line,
    wide_console,
)
from lgnet_core.io.extras import needs_extra


def evaluate(
    data: Annotated[
        str,
        typer.Option(
            help="Crops of ground-truth hands: synthetic (the frozen held-out set); or with --root "
            "interhand26m, hic, freihand, contactpose or hot3d; or a folder written by `lgnet synth`. Full images "
            "through the whole pipeline: realhands or testdata, with --root; synthetic-full; palms; clip; jitter; "
            "depth."
        ),
    ] = "synthetic",
    root: DataRoot = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="InterHand2.6M: train, val or test (default); freihand and contactpose: train or test (default); "
            "hot3d: train_aria or train_quest3; realhands: train or dev (default)."
        ),
    ] = None,
    annotation: AnnotationOption = "H+M",
    subset: SubsetOption = "all",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for JSON, CSV and PNG files.")] = Path("out/eval"),
    weights: Weights = None,
    hand_model: HandModelPath = None,
    count: Annotated[
        int | None,
        typer.Option(
            "--count",
            "-n",
            min=1,
            help="Number of images, spread evenly over the set. Default: all; synthetic-full, palms and depth: 200.",
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Batch size.")] = 32,
    workers: Annotated[int, typer.Option(min=0, help="Data loader processes.")] = 0,
    seed: Annotated[int, typer.Option(help="Random seed of synthetic-full, palms and depth.")] = 20_262,
    mediapipe: Annotated[
        Path | None,
        typer.Option(
            help="Python interpreter with mediapipe 0.10.21, to evaluate its hand tracker on the same full images."
        ),
    ] = None,
    beside: Annotated[
        int, typer.Option(min=0, help="clip: measure latency a second time beside so many busy processes.")
    ] = 0,
    device: DeviceOption = "auto",
    threads: Threads = None,
) -> None:
    """Evaluate weights: on crops under every protocol, beside two baselines; on full images the whole pipeline."""
    import torch

    from lgnet_core.hand_model import load_hand_layer
    from lgnet_core.inference import HandEstimator

    with needs_extra("evaluation", "train"):
        from lgnet_core.evaluation.end_to_end.run import END_TO_END_DATASETS, EndToEndConfig, run_end_to_end
    if threads is not None:
        torch.set_num_threads(threads)
    if data in END_TO_END_DATASETS:
        full = EndToEndConfig(data, root, split or "dev", seed, count, mediapipe, beside)
        estimator = HandEstimator.load(weights, device, hand_model, threads=threads)
        result = run_end_to_end(out, full, estimator, weights, console)
        wide_console().print(result.table())
        for note in result.notes:
            print_line(f"note: {note}", "yellow")
        print_line(f"figures and images: {out}")
        return
    with needs_extra("evaluation", "train"):
        from lgnet_core.data.interhand26m import AnnotationSet, Subset
        from lgnet_core.evaluation.datasets.factory import DatasetConfig
        from lgnet_core.evaluation.run import run_evaluation
    dataset = DatasetConfig(data, root, split or "test", AnnotationSet(annotation), Subset(subset))
    mano = None if hand_model is None else load_hand_layer(hand_model)
    report = run_evaluation(out, dataset, weights, mano, count, device, batch, console, workers)
    for table in (report.table(), *report.analyses.tables()):
        wide_console().print(table)
    for note in report.analyses.notes:
        print_line(f"note: {note}", "yellow")
    for reason, skipped in report.analyses.skipped.items():
        print_line(f"skipped: {skipped} x {reason}", "yellow")
    print_line(f"figures and images: {out}")
