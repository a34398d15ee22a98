"""``lgnet predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lgnet_core.cli.options import (
    DeviceOption,
    EngineName,
    EngineOption,
    HandLength,
    HandModelPath,
    Threshold,
    Weights,
    console,
    print_line,
)


def predict(
    source: Annotated[
        Path,
        typer.Argument(
            help="An image, a video, or a folder of images and videos (searched recursively). "
            "Write ./-name for a name that begins with a dash.",
            metavar="IMAGE|FOLDER|VIDEO",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path("out/predict"),
    camera: Annotated[
        Path | None, typer.Option("--camera", "-c", help="Calibration file written by ROS's camera_calibration.")
    ] = None,
    weights: Weights = None,
    hand_model: HandModelPath = None,
    device: DeviceOption = "auto",
    engine: EngineOption = EngineName.auto,
    threshold: Threshold = None,
    hand_length: HandLength = None,
    attention: Annotated[bool, typer.Option("--attention", help="Also draw attention maps (images only).")] = False,
) -> None:
    """Estimate hands in images: overlay, PLY meshes, JSON and npz for each image.

    The exit code is 1 if an image could not be used; the others are processed all the same.
    """
    from lgnet_core.data.sequences import find_other_files, image_sequences
    from lgnet_core.io.calibration import read_camera

    sequences = image_sequences(source, out)  # report bad input before the network is loaded
    others = find_other_files(source, out)
    calibration = None if camera is None else read_camera(camera)

    from lgnet_core.commands.predict import describe_other_files, predict_sequences
    from lgnet_core.inference import HandEstimator
    from lgnet_core.io.checkpoint_files import weights_digest
    from lgnet_core.network.checkpoint import load_network_for
    from lgnet_core.types import Side
    from lgnet_core.visualization.attention import AttentionView

    with console.status("loading the network"):
        estimator = HandEstimator.load(
            weights,
            device,
            hand_model,
            engine.value,
            presence_threshold=threshold,
            hand_length=hand_length,
        )
    provenance = {
        "weights": str(weights or "bundled"),
        "weights_sha256": weights_digest(weights),
        "hand_model": estimator.hand_model.name,
    }
    view = None
    if attention:
        view = AttentionView(load_network_for(weights, estimator.hand_model)[0], estimator)
    report = predict_sequences(estimator, sequences, out, calibration, provenance, console, view)
    if report.images:
        sides = ", ".join(f"{report.hands[side]} {side.label}" for side in Side)
        rate = f", {report.images / report.seconds:.1f} images/s" if report.seconds else ""
        print_line(f"{report.images} image(s): hands found: {sides}{rate}; results in {out}")
    if others:
        report.notes.append(describe_other_files(others))
    for note in report.notes:
        print_line(f"note: {note}", "yellow")
    for failure in report.failures:
        print_line(f"skipped: {failure}", "red")
    if report.failures:
        raise typer.Exit(1)
