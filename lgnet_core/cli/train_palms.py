"""``lgnet train-palms``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lgnet_core.cli.options import describe_checkpoint, print_line
from lgnet_core.io.interruption import on_interruption


def train_palms(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the checkpoint and the weights.")],
    data: Annotated[str, typer.Option(help="Folders written by `lgnet synth`, separated by commas.")],
    root: Annotated[Path, typer.Option(help="Folder of the real images.")],
    steps: Annotated[int, typer.Option(help="Training steps.")] = 1000,
    batch_size: Annotated[int, typer.Option(help="Images per step; half of them are real.")] = 32,
    learning_rate: Annotated[
        float, typer.Option(help="Relative to the root mean square of each tensor of weights.")
    ] = 1e-3,
    initial: Annotated[str, typer.Option(help="pretrained (MediaPipe's weights), or a checkpoint to start from.")] = (
        "pretrained"
    ),
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: torch's default.")] = 0,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
) -> None:
    """Fine-tune the palm detector for touching, occluded and truncated hands; an interrupted run is resumed."""
    from lgnet_core.training.palms import train as palms

    folders = tuple(Path(name.strip()) for name in data.split(",") if name.strip())
    config = palms.PalmTrainConfig(
        out, folders, root, steps, batch_size, learning_rate, initial=initial, threads=threads, seed=seed
    )
    with on_interruption(lambda: describe_checkpoint(out / palms.CHECKPOINT)):
        weights = palms.train_palms(config)
    print_line(f"weights: {weights}")
