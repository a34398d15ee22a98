"""The commands that make images, train on them and judge what was trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from lgnet_core.cli.options import (
    AnnotationOption,
    Backbone,
    DataRoot,
    DeviceOption,
    HandModelPath,
    Preset,
    SubsetOption,
    Weights,
    console,
    needs_training_extra,
    wide_console,
)


def train(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of logs, checkpoints, weights. Default: runs/PRESET.")
    ] = None,
    preset: Preset = "lgnet-hand",
    backbone: Backbone = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="synthetic, interhand26m (with --root and --hand-model), or a folder that `lgnet synth` wrote; "
            "several with their weights: interhand26m=0.7,FOLDER=0.3"
        ),
    ] = None,
    root: DataRoot = None,
    annotation: AnnotationOption = "H+M",
    subset: SubsetOption = "all",
    hand_model: HandModelPath = None,
    size: Annotated[int | None, typer.Option(help="Side of the crops, a multiple of 32.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images that a device sees at a time.")] = None,
    accumulate: Annotated[int | None, typer.Option(help="Batches whose gradients make one step.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes through a set, instead of --steps.")] = None,
    steps: Annotated[int | None, typer.Option(help="Of the whole training.")] = None,
    epoch_steps: Annotated[int | None, typer.Option(help="Steps between two validations.")] = None,
    max_minutes: Annotated[float | None, typer.Option(help="Stop and save after this time.")] = None,
    optimiser: Annotated[str | None, typer.Option(help="adamw or adam.")] = None,
    learning_rate: Annotated[float | None, typer.Option()] = None,
    weight_decay: Annotated[float | None, typer.Option()] = None,
    schedule: Annotated[str | None, typer.Option(help="cosine, trapezoid or paper.")] = None,
    warmup: Annotated[int | None, typer.Option(help="Steps.")] = None,
    losses: Annotated[str | None, typer.Option(help="default, direct, joints, paper, or heatmaps.")] = None,
    augment: Annotated[bool | None, typer.Option(help="Change the training images at random.")] = None,
    recolour: Annotated[bool | None, typer.Option(help="False: turn, scale and shift only.")] = None,
    refine: Annotated[bool | None, typer.Option(help="False: joint and mesh stages first, faster.")] = None,
    freeze_heatmaps: Annotated[
        bool | None, typer.Option(help="InterShape's second phase: leave what --losses heatmaps trained.")
    ] = None,
    freeze_early: Annotated[bool | None, typer.Option(help="Leave the backbone up to stride 4 as it is.")] = None,
    freeze_backbone: Annotated[
        bool | None, typer.Option(help="lgnet-hand: leave the landmark network, and compute its features once.")
    ] = None,
    train_deep: Annotated[
        bool | None, typer.Option(help="With that: train the landmark network's layers after stride 16.")
    ] = None,
    rotation: Annotated[float | None, typer.Option(help="Standard deviation of the turns, degrees; 0: none.")] = None,
    flip: Annotated[bool | None, typer.Option(help="Mirror half of them, if the hand model is symmetric.")] = None,
    validation: Annotated[int | None, typer.Option(help="Images held out.")] = None,
    initial: Annotated[
        str | None,
        typer.Option(help="pretrained (the backbone), its .pth file, random, or weights to go on from."),
    ] = None,
    resume: Annotated[str | None, typer.Option(help="auto, never, or a .ckpt file.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    devices: Annotated[int | None, typer.Option(help="How many; started by torchrun: as that says.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, or Lightning's name of one.")] = None,
    threads: Annotated[int | None, typer.Option(help="Of torch on the CPU.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that read images.")] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it will cost, and train nothing.")] = False,
) -> None:
    """Train a network, or go on with a training that was stopped. Defaults: TrainConfig."""
    given = {name: value for name, value in locals().items() if value is not None and name != "dry_run"}
    given.setdefault("out", Path("runs") / preset)
    with needs_training_extra("training"):
        from lgnet_core.training.dry_run import dry_run as measure
        from lgnet_core.training.train import train as run
        from lgnet_core.training.train_config import TrainConfig

    config = TrainConfig(**given)
    if dry_run:
        cost = measure(config)
        console.print(
            f"{cost.step_seconds:.3f} s a step, {cost.images_per_second:.1f} images/s, "
            f"{cost.memory / 2**30:.1f} GiB at the peak; {cost.steps} steps take {cost.hours:.1f} h"
        )
        return
    weights = run(config)
    console.print(Text(f"weights: {weights}; look at them with `lgnet demo -w {weights}`"), soft_wrap=True)


def train_palms(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the checkpoint and of the weights.")],
    data: Annotated[str, typer.Option(help="Folders that `lgnet synth` wrote, with commas between them.")],
    root: Annotated[Path, typer.Option(help="Folder of the real images.")],
    steps: Annotated[int, typer.Option(help="Of the whole training.")] = 1000,
    batch_size: Annotated[int, typer.Option(help="Images a step, half of them real.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="In root mean squares of each tensor of weights.")] = 1e-3,
    initial: Annotated[str, typer.Option(help="pretrained: MediaPipe's own; or weights to start from.")] = (
        "pretrained"
    ),
    threads: Annotated[int, typer.Option(min=0, help="Of the CPU. 0: as torch chooses.")] = 0,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Fine-tune the palm detector for hands that touch, hide each other or are cut off; stopped, it goes on."""
    from lgnet_core.training.palms import train as palms

    folders = tuple(Path(name.strip()) for name in data.split(",") if name.strip())
    config = palms.PalmTraining(
        out, folders, root, steps, batch_size, learning_rate, initial=initial, threads=threads, seed=seed
    )
    console.print(Text(f"weights: {palms.train_palms(config)}"), soft_wrap=True)


def synth(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the set and its sheet.png.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Images.")],
    seed: Annotated[int, typer.Option(help="Of the set; take different ones for training and testing.")] = 0,
    size: Annotated[int, typer.Option(min=32, help="Side of the crops, pixels.")] = 256,
    hand_model: HandModelPath = None,
    device: DeviceOption = "auto",
) -> None:
    """Generate labelled images of hands: a stored set to train on, and a contact sheet to look at."""
    from lgnet_core.engines.base import resolve_device
    from lgnet_core.hand_model import load_hand_model
    from lgnet_core.synthetic.generator import SyntheticHands
    from lgnet_core.synthetic.stored import write_sheet_and_shards

    generator = SyntheticHands(seed, load_hand_model(hand_model), resolve_device(device))
    sheet = write_sheet_and_shards(out, generator, count, size)
    console.print(Text(f"{count} images in {out}; look at {sheet}"), soft_wrap=True)


def evaluate(
    data: Annotated[
        str,
        typer.Option(
            help="Crops around true hands: synthetic, the frozen held-out set; interhand26m or hic, with --root; or a "
            "folder of `lgnet synth`. Full images, judged as the system ships: realhands or testdata, with --root; "
            "synthetic-full; clip; jitter."
        ),
    ] = "synthetic",
    root: DataRoot = None,
    split: Annotated[
        str | None,
        typer.Option(help="Of InterHand2.6M: train, val or test (default); of realhands: train or dev (default)."),
    ] = None,
    annotation: AnnotationOption = "H+M",
    subset: SubsetOption = "all",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for JSON, CSV and PNG.")] = Path("out/eval"),
    weights: Weights = None,
    hand_model: HandModelPath = None,
    count: Annotated[
        int | None,
        typer.Option(
            "--count", "-n", min=1, help="Only so many images, spread evenly over the set; of synthetic-full: 200."
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Crops at a time.")] = 32,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read crops.")] = 0,
    seed: Annotated[int, typer.Option(help="Of synthetic-full.")] = 20_262,
    mediapipe: Annotated[
        Path | None,
        typer.Option(help="A Python with mediapipe 0.10.21, to judge its hands program on the same full images."),
    ] = None,
    beside: Annotated[
        int, typer.Option(min=0, help="Of clip: processes that keep the machine busy in a second measuring of latency.")
    ] = 0,
    device: DeviceOption = "auto",
) -> None:
    """Judge weights: on crops errors under every protocol beside two baselines, on full images all that ships."""
    from lgnet_core.hand_model import load_hand_model
    from lgnet_core.inference import HandEstimator

    with needs_training_extra("evaluation"):
        from lgnet_core.evaluation.end_to_end.run_programs import FULL_IMAGES, FullImages, run_programs
    if data in FULL_IMAGES:
        full = FullImages(data, root, split or "dev", seed, count, mediapipe, beside)
        judged = run_programs(out, full, HandEstimator.load(weights, device, hand_model), weights, console)
        wide_console().print(judged.table())
        for note in judged.notes:
            console.print(Text(f"note: {note}", "yellow"), soft_wrap=True)
        console.print(Text(f"figures and images: {out}"), soft_wrap=True)
        return
    with needs_training_extra("evaluation"):
        from lgnet_core.data.interhand26m import AnnotationSet, Subset
        from lgnet_core.evaluation.run import run_evaluation
        from lgnet_core.evaluation.sets import Choice
    choice = Choice(data, root, split or "test", AnnotationSet(annotation), Subset(subset))
    mano = None if hand_model is None else load_hand_model(hand_model)
    report = run_evaluation(out, choice, weights, mano, count, device, batch, console, workers)
    for table in (report.table(), *report.studies.tables()):
        wide_console().print(table)
    for note in report.studies.notes:
        console.print(Text(f"note: {note}", "yellow"), soft_wrap=True)
    for reason, skipped in report.studies.skipped.items():
        console.print(Text(f"left out: {skipped} x {reason}", "yellow"), soft_wrap=True)
    console.print(Text(f"figures and images: {out}"), soft_wrap=True)
