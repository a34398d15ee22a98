"""``lgnet ablate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lgnet_core.cli.options import HandModelPath, console, print_line, wide_console
from lgnet_core.io.extras import needs_extra
from lgnet_core.io.interruption import on_interruption

ROWS = (
    *("lgnet", "lgnet-mini", "eanet", "intershape"),
    *(f"lgnet-without-{part}" for part in ("lgblock", "local-unit", "global-unit", "refine-stage")),
)
HAND_ROWS = (
    *("lgnet-hand", "eanet-hand", "intershape-hand"),
    *(f"lgnet-hand-without-{part}" for part in ("lgblock", "local-unit", "global-unit", "refine-stage")),
    *(f"lgnet-hand:without-{term}" for term in ("normal", "edge", "laplacian")),
)


def ablate(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the table and all trainings.")] = Path(
        "runs/ablation"
    ),
    preset: Annotated[
        list[str] | None,
        typer.Option(
            "--preset",
            "-p",
            help="PRESET or PRESET:LOSSES; may be repeated. Default: LGNet, two baselines, four parts removed; with "
            "--freeze-backbone the same with one crop per hand, and three losses removed.",
        ),
    ] = None,
    seed: Annotated[list[int] | None, typer.Option("--seed", help="May be repeated. Default: 0.")] = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="Backbone of all networks. Default: efficientnet_lite0, or each preset's if frozen."),
    ] = None,
    freeze_backbone: Annotated[
        bool,
        typer.Option("--freeze-backbone", help="One crop per hand: train the stages on cached features of --data."),
    ] = False,
    data: Annotated[str, typer.Option(help="synthetic, or a folder written by `lgnet synth`.")] = "synthetic",
    hand_model: HandModelPath = None,
    size: Annotated[int, typer.Option(help="Side of the crops, a multiple of 32.")] = 256,
    batch_size: Annotated[int, typer.Option(min=1, help="Images per step.")] = 32,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each training.")] = 1250,
    learning_rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 3e-4,
    initial: Annotated[str, typer.Option(help="pretrained (backbone) or random.")] = "pretrained",
    validation: Annotated[int, typer.Option(help="Images held out for validation.")] = 64,
    count: Annotated[
        int | None,
        typer.Option("--count", "-n", min=1, help="Evaluate on so many images of the frozen set. Default: all."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: torch's default.")] = 0,
    workers: Annotated[int, typer.Option(help="Data loader processes.")] = 0,
) -> None:
    """Train presets on equal data, budget and backbone, and compare them in one table; resumes where it stopped."""
    with needs_extra("an ablation", "train"):
        from lgnet_core.training.ablation.run import AblationConfig
        from lgnet_core.training.ablation.run import ablate as run
        from lgnet_core.training.train_config import TrainConfig

    rows = tuple(preset or (HAND_ROWS if freeze_backbone else ROWS))
    training = TrainConfig(
        out=out,
        preset=rows[0].partition(":")[0],  # not the default preset, whose backbone cannot be exchanged
        backbone=backbone if backbone or freeze_backbone else "efficientnet_lite0",
        freeze_backbone=freeze_backbone,
        data=data,
        hand_model=hand_model,
        size=size,
        batch_size=batch_size,
        steps=steps,
        epoch_steps=min(steps, 500),
        warmup=steps // 10,
        learning_rate=learning_rate,
        initial=initial,
        validation=validation,
        device=device,
        threads=threads,
        workers=workers,
        progress=console.is_terminal,
    )
    with on_interruption(lambda: f"finished rows and checkpoints are in {out}; the same command resumes"):
        table = run(AblationConfig(training, rows, tuple(seed or (0,)), count), console)
    wide_console().print(table.rich())
    print_line(f"table: {out / 'ablation.md'}, {out / 'ablation.json'}")
