"""``lgnet train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lgnet_core.cli.options import (
    AnnotationOption,
    Backbone,
    DataRoot,
    HandModelPath,
    Preset,
    SubsetOption,
    console,
    describe_checkpoint,
    needs_extra,
    print_line,
)
from lgnet_core.io.interruption import on_interruption


def train(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for logs, checkpoints and weights. Default: runs/PRESET.")
    ] = None,
    preset: Preset = "lgnet-hand",
    backbone: Backbone = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="synthetic, interhand26m or freihand (with --root and --hand-model), or a folder written by "
            "`lgnet synth`; a mixture with weights: interhand26m=0.7,FOLDER=0.3"
        ),
    ] = None,
    root: DataRoot = None,
    annotation: AnnotationOption = "H+M",
    subset: SubsetOption = "all",
    hand_model: HandModelPath = None,
    size: Annotated[int | None, typer.Option(help="Side of the crops, a multiple of 32.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per device and batch.")] = None,
    accumulate: Annotated[int | None, typer.Option(help="Batches per optimiser step (gradient accumulation).")] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes through the dataset, instead of --steps.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps of the whole training.")] = None,
    epoch_steps: Annotated[int | None, typer.Option(help="Steps between validations.")] = None,
    max_minutes: Annotated[float | None, typer.Option(help="Save and stop after this time.")] = None,
    optimiser: Annotated[str | None, typer.Option(help="adamw or adam.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Of weights that are not biases or norms.")] = None,
    schedule: Annotated[str | None, typer.Option(help="cosine, wsd (warm-up, stable, decay) or paper.")] = None,
    warmup: Annotated[int | None, typer.Option(help="Warm-up steps.")] = None,
    losses: Annotated[str | None, typer.Option(help="default, auxiliary, joints, paper or heatmaps.")] = None,
    augment: Annotated[bool | None, typer.Option(help="Augment the training images.")] = None,
    recolour: Annotated[
        bool | None, typer.Option(help="Photometric augmentation; without it geometric augmentation only.")
    ] = None,
    refine: Annotated[
        bool | None, typer.Option(help="Train the refine stage too; without it the joint and mesh stages only, faster.")
    ] = None,
    freeze_heatmaps: Annotated[
        bool | None, typer.Option(help="InterShape, second phase: freeze what --losses heatmaps trained.")
    ] = None,
    freeze_early: Annotated[bool | None, typer.Option(help="Freeze the backbone up to stride 4.")] = None,
    freeze_backbone: Annotated[
        bool | None, typer.Option(help="lgnet-hand: freeze the landmark network and cache its features.")
    ] = None,
    train_deep: Annotated[
        bool | None,
        typer.Option(help="With --freeze-backbone: still train the landmark network's layers after stride 16."),
    ] = None,
    thaw_steps: Annotated[
        int | None,
        typer.Option(help="With --train-deep: unfreeze one more block after so many steps, from the last one. 0: all."),
    ] = None,
    dense_supervision: Annotated[
        bool | None,
        typer.Option(help="With --freeze-backbone: supervise segmentation and depth of the crops too."),
    ] = None,
    rotation: Annotated[
        float | None, typer.Option(help="Standard deviation of the rotation augmentation, degrees; 0: none.")
    ] = None,
    flip: Annotated[
        bool | None, typer.Option(help="Mirror half of the images, if the hand model is symmetric.")
    ] = None,
    validation: Annotated[int | None, typer.Option(help="Images held out for validation.")] = None,
    initial: Annotated[
        str | None,
        typer.Option(help="pretrained (backbone), a .pth file of the backbone, random, or a checkpoint to start from."),
    ] = None,
    resume: Annotated[str | None, typer.Option(help="auto, never, or a .ckpt file.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    devices: Annotated[int | None, typer.Option(help="Number of devices; under torchrun: as it says.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, or one of Lightning's precision names.")] = None,
    threads: Annotated[int | None, typer.Option(min=0, help="CPU threads of torch; 0: its default.")] = None,
    workers: Annotated[int | None, typer.Option(help="Data loader processes.")] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Estimate time and memory; train nothing.")] = False,
) -> None:
    """Train a network, or resume an interrupted training. Defaults: see TrainConfig."""
    given = {name: value for name, value in locals().items() if value is not None and name != "dry_run"}
    given.setdefault("out", Path("runs") / preset)
    with needs_extra("train", "training"):
        from lgnet_core.training.dry_run import dry_run as measure
        from lgnet_core.training.train import train as run
        from lgnet_core.training.train_config import LAST, TrainConfig

    config = TrainConfig(**given)
    if dry_run:
        cost = measure(config)
        console.print(
            f"{cost.step_seconds:.3f} s per step, {cost.images_per_second:.1f} images/s, "
            f"peak memory {cost.memory / 2**30:.1f} GiB; {cost.steps} steps take {cost.hours:.1f} h"
        )
        return
    with on_interruption(lambda: describe_checkpoint(config.out / LAST)):
        weights = run(config)
    print_line(f"weights: {weights}; try them with `lgnet demo -w {weights}`")
