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
    RecordOption,
    Threads,
    Threshold,
    Weights,
    choose_camera,
    console,
)
from lgnet_core.cli.report import print_report
from lgnet_core.io.interruption import on_interruption
from lgnet_core.recording.formats import Recorder, check_installed


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
        bool, typer.Option("--overlay-only", help="Videos: write the overlay, the table and recordings only.")
    ] = False,
    record: RecordOption = None,
) -> None:
    """Estimate hands in images: overlay, meshes, JSON and npz for each image; overlay and table for each video.

    Tables of a video (.csv, .npz) have one row per hand and frame: frame;
    time, seconds from its start; side; track_id, constant while a hand is
    followed; presence, a probability; metric, 1 if positions are in the
    camera frame (x right, y down, z forward), 0 if relative to the wrist;
    of each joint x, y, z (metres), u, v (pixels) and std (metres).
    The npz also has rotations and shape of the hand model.

    The exit code is 1 if an image could not be used; the others are processed all the same.
    """
    from lgnet_core.data.sequences import find_other_files, input_sequences
    from lgnet_core.io.files import InputError
    from lgnet_core.io.output import make_folder
    from lgnet_core.io.video import FrameSelection

    # Report bad input before the network is loaded.
    check_installed(record or ())
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

    from lgnet_core.commands.predict import VideoOptions, describe_other_files, predict_sequences
    from lgnet_core.commands.report import Report
    from lgnet_core.inference import HandEstimator, HandTracker, Smoothing
    from lgnet_core.io.checkpoint_files import weights_digest

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
        from lgnet_core.network.checkpoint import load_network_for
        from lgnet_core.visualization.attention import AttentionView

        view = AttentionView(load_network_for(weights, estimator.hand_model)[0], estimator)
    make_tracker = partial(HandTracker, estimator, Smoothing()) if tracking else None
    options = VideoOptions(make_tracker, frames, overlay_only)
    recorder = Recorder(record or (), estimator.hand_model)
    report = Report()
    with on_interruption(lambda: f"{report.images} image(s) were processed; their results are in {out}"):
        predict_sequences(estimator, sequences, out, calibration, provenance, console, view, report, options, recorder)
    if others:
        report.notes.append(describe_other_files(others))
    print_report(report, out)
