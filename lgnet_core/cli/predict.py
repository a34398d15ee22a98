"""``lgnet predict``."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from lgnet_core.cli.options import (
    DeviceOption,
    EngineName,
    EngineOption,
    FieldOfView,
    FocalLength,
    HandLength,
    HandModelPath,
    Threads,
    Threshold,
    Weights,
    choose_camera,
    console,
    print_line,
)
from lgnet_core.io.interruption import on_interruption


def predict(
    sources: Annotated[
        list[Path],
        typer.Argument(
            help="Images, videos, and folders of images and videos (searched recursively). "
            "Write ./-name for a name that begins with a dash.",
            metavar="IMAGE|FOLDER|VIDEO...",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path("out/predict"),
    camera: Annotated[
        Path | None, typer.Option("--camera", "-c", help="Calibration file written by ROS's camera_calibration.")
    ] = None,
    fov: FieldOfView = None,
    focal: FocalLength = None,
    weights: Weights = None,
    hand_model: HandModelPath = None,
    device: DeviceOption = "auto",
    engine: EngineOption = EngineName.auto,
    threshold: Threshold = None,
    hand_length: HandLength = None,
    threads: Threads = None,
    attention: Annotated[bool, typer.Option("--attention", help="Also draw attention maps; not of videos.")] = False,
    tracking: Annotated[
        bool, typer.Option("--tracking/--no-tracking", help="Videos: track and smooth the hands, as the node does.")
    ] = True,
    stride: Annotated[int, typer.Option(min=1, help="Videos: use every how many frames.")] = 1,
    start: Annotated[float, typer.Option(min=0, help="Videos: begin at so many seconds.")] = 0.0,
    end: Annotated[float | None, typer.Option(help="Videos: stop at so many seconds. Default: at the end.")] = None,
    overlay_only: Annotated[
        bool, typer.Option("--overlay-only", help="Videos: write the overlay and the table only, no file per frame.")
    ] = False,
) -> None:
    """Estimate hands in images: overlay, PLY meshes, JSON and npz for each image; a film and a table for each video.

    The exit code is 1 if an image could not be used; the others are processed all the same.
    """
    from lgnet_core.data.sequences import find_other_files, input_sequences
    from lgnet_core.io.files import InputError
    from lgnet_core.io.output import make_folder
    from lgnet_core.io.video import FrameSelection
    from lgnet_core.types import Side

    # Report bad input before the network is loaded.
    frames = FrameSelection(start, math.inf if end is None else end, stride)
    sequences = input_sequences(sources, out)
    videos = [item.source.path for item in sequences if not isinstance(item, InputError) and item.source.is_video]
    if attention and videos:
        raise ValueError(
            f"--attention: {videos[0]} is a video; extract its frames as images first (ffmpeg -i IN %04d.png)"
        )
    others = [file for source in sources for file in find_other_files(source, out)]
    make_folder(out)
    calibration = choose_camera("--camera", camera, fov, focal)

    from lgnet_core.commands.predict import Report, VideoOptions, describe_other_files, predict_sequences
    from lgnet_core.inference import HandEstimator, HandTracker, Smoothing
    from lgnet_core.io.checkpoint_files import weights_digest
    from lgnet_core.network.checkpoint import load_network_for
    from lgnet_core.visualization.attention import AttentionView

    with console.status("loading the network"):
        estimator = HandEstimator.load(
            weights,
            device,
            hand_model,
            engine.value,
            presence_threshold=threshold,
            hand_length=hand_length,
            threads=threads,
        )
    provenance = {
        "weights": str(weights or "bundled"),
        "weights_sha256": weights_digest(weights),
        "hand_model": estimator.hand_model.name,
    }
    view = None
    if attention:
        view = AttentionView(load_network_for(weights, estimator.hand_model)[0], estimator)
    make_tracker = partial(HandTracker, estimator, Smoothing()) if tracking else None
    options = VideoOptions(make_tracker, frames, overlay_only)
    report = Report()
    with on_interruption(lambda: f"{report.images} image(s) were processed; their results are in {out}"):
        predict_sequences(estimator, sequences, out, calibration, provenance, console, view, report, options)
    if report.images:
        sides = ", ".join(f"{report.hands[side]} {side.label}" for side in Side)
        rate = ""
        if report.seconds:
            rate = f", {report.images / report.total_seconds:.1f} images/s (estimation alone: "
            rate += f"{report.images / report.seconds:.1f})"
        print_line(f"{report.images} image(s): hands found: {sides}{rate}; results in {out}")
    if others:
        report.notes.append(describe_other_files(others))
    for note in report.notes:
        print_line(f"note: {note}", "yellow")
    for failure in report.failures:
        print_line(f"skipped: {failure}", "red")
    if report.failures:
        raise typer.Exit(1)
