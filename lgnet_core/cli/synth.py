"""``lgnet synth``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lgnet_core.cli.options import DeviceOption, HandModelPath, Threads, print_line
from lgnet_core.io.interruption import on_interruption


def synth(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the set and its contact sheet, sheet.png.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Number of images.")],
    seed: Annotated[int, typer.Option(help="Random seed; use different ones for training and testing.")] = 0,
    size: Annotated[int, typer.Option(min=32, help="Side of the crops, pixels.")] = 256,
    hand_model: HandModelPath = None,
    device: DeviceOption = "auto",
    threads: Threads = None,
) -> None:
    """Generate a set of labelled synthetic images for training, and a contact sheet; resumes where it stopped."""
    import torch

    from lgnet_core.engines.base import resolve_device
    from lgnet_core.hand_model import load_hand_layer
    from lgnet_core.io.output import make_folder
    from lgnet_core.synthetic.generator import SyntheticHands
    from lgnet_core.synthetic.stored import stored_count, write_dataset

    make_folder(out)  # report a bad path first
    if threads is not None:
        torch.set_num_threads(threads)
    generator = SyntheticHands(seed, load_hand_layer(hand_model), resolve_device(device))
    with on_interruption(lambda: f"{stored_count(out)} images are in {out}; the same command generates the rest"):
        sheet = write_dataset(out, generator, count, size)
    print_line(f"{count} images in {out}; contact sheet: {sheet}")
