"""The command ``lgnet``: each command parses, calls one function, and shows what it returns.

Heavy imports stand inside the commands, so that ``lgnet --help`` is quick. What goes wrong is told in one line; the
option ``--debug`` or the variable ``LGNET_DEBUG`` shows the traceback.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lgnet_core.cli import ablation, training
from lgnet_core.cli.options import (
    CropSize,
    DeviceOption,
    EngineName,
    EngineOption,
    HandLength,
    HandModelPath,
    Threshold,
    Weights,
    console,
    wide_console,
)

DEBUG_VARIABLE = "LGNET_DEBUG"

app = typer.Typer(
    name="lgnet",
    help="Two hands from one image: 21 joints and a mesh of each, in metres in the camera's frame.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
mano = typer.Typer(
    help="MANO's files (your own: registration at mano.is.tue.mpg.de, non-commercial).", no_args_is_help=True
)
app.add_typer(mano, name="mano")


@app.callback()
def common(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback when something goes wrong.")] = False,
) -> None:
    """Options of every command."""
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("lgnet_core").setLevel(logging.INFO)  # slow first steps say what they do


@app.command()
def check(weights: Weights = None, hand_model: HandModelPath = None, device: DeviceOption = "auto") -> None:
    """Look at environment, device, weights and hand model; name each problem with its cure. Exit code 1 if any."""
    from lgnet_core.commands.check import Level, run_checks

    findings = run_checks(weights, hand_model, device)
    signs = {Level.OK: ("ok", "green"), Level.NOTE: ("note", "yellow"), Level.PROBLEM: ("PROBLEM", "bold red")}
    table = Table(show_header=False, box=None, pad_edge=False)
    for finding in findings:
        sign, style = signs[finding.level]
        detail = finding.detail + (f"\n-> {finding.cure}" if finding.cure else "")
        table.add_row(Text(sign, style), finding.subject, Text(detail))
    console.print(table)
    problems = sum(finding.level is Level.PROBLEM for finding in findings)
    if problems:
        console.print(f"{problems} problem(s); the cure stands below each", style="bold red")
        raise typer.Exit(1)
    console.print("ready", style="bold green")


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the images.")] = Path("out/lgnet_demo"),
    weights: Weights = None,
    hand_model: HandModelPath = None,
    device: DeviceOption = "auto",
    engine: EngineOption = EngineName.auto,
) -> None:
    """Find the hands in the bundled clip and show the result as images."""
    from lgnet_core.commands.demo import run_demo
    from lgnet_core.inference import HandEstimator

    with console.status("loading the network"):
        estimator = HandEstimator.load(weights, device, hand_model, engine.value)
    summary = run_demo(estimator, out, console=console)
    table = Table(title="lgnet demo: the bundled synthetic clip", show_header=False)
    scores = summary.scores
    extra = f", and {scores.extra} where there is none" if scores.extra else ""
    for row in (
        ("frames", f"{summary.frames}"),
        ("hands found", f"{scores.found} of {scores.found + scores.missed}{extra}"),
        ("mean joint error in the image", f"{scores.error_pixels:.1f} px"),
        ("mean joint error from the wrist", f"{scores.error_relative:.1f} mm"),
        ("mean error of the wrist's place", f"{scores.error_wrist:.1f} mm"),
        ("estimator", f"{summary.frames_per_second:.1f} frames/s, {estimator.engines['hands']}"),
    ):
        table.add_row(*row)
    console.print(table)
    console.print("Look at:")
    for path in (summary.sheet, summary.view, summary.folder / "overlay.mp4"):
        if path.exists():
            console.print(Text(f"  {path}"), soft_wrap=True)


@app.command()
def predict(
    source: Annotated[
        Path,
        typer.Argument(
            help="An image, a video, or a folder of images and videos, however deep.", metavar="IMAGE|FOLDER|VIDEO"
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path("out/predict"),
    camera: Annotated[
        Path | None, typer.Option("--camera", "-c", help="Calibration file of ROS's camera_calibration.")
    ] = None,
    weights: Weights = None,
    hand_model: HandModelPath = None,
    device: DeviceOption = "auto",
    engine: EngineOption = EngineName.auto,
    threshold: Threshold = None,
    hand_length: HandLength = None,
    attention: Annotated[
        bool, typer.Option("--attention", help="Also draw where the network looks in images.")
    ] = False,
) -> None:
    """Find the hands in images: overlay, PLY meshes, JSON and npz for each.

    Exit code 1 if an image could not be used; the others are done all the same.
    """
    from lgnet_core.data.folders import films
    from lgnet_core.io.images import read_camera

    found = films(source, out)  # what is wrong with the input is told before the network is loaded
    calibration = None if camera is None else read_camera(camera)

    from lgnet_core.commands.predict import predict_sequences
    from lgnet_core.inference import HandEstimator
    from lgnet_core.network.checkpoint import load_own_network, weights_digest
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
    about = {
        "weights": str(weights or "bundled"),
        "weights_sha256": weights_digest(weights),
        "hand_model": estimator.hand_model.name,
    }
    view = None
    if attention:
        view = AttentionView(load_own_network(weights, estimator.hand_model)[0], estimator)
    report = predict_sequences(estimator, found, out, calibration, about, console, view)
    if report.images:
        sides = ", ".join(f"{report.hands[side]} {side.label}" for side in Side)
        rate = f", {report.images / report.seconds:.1f} images/s" if report.seconds else ""
        done = f"{report.images} image(s): hands found: {sides}{rate}; results in {out}"
        console.print(Text(done), soft_wrap=True)
    for note in report.notes:
        console.print(Text(f"note: {note}", "yellow"), soft_wrap=True)
    for failure in report.failures:
        console.print(Text(f"not used: {failure}", "red"), soft_wrap=True)
    if report.failures:
        raise typer.Exit(1)


app.command()(training.train)
app.command()(training.train_palms)
app.command()(training.synth)
app.command()(ablation.ablate)
app.command("eval")(training.evaluate)


@app.command()
def export(
    out: Annotated[Path, typer.Option("--out", "-o", help="The ONNX file.")],
    weights: Weights = None,
    hand_model: HandModelPath = None,
    size: CropSize = None,
) -> None:
    """Write the network as ONNX: it gives the parameters and meshes of the hand model of its weights.

    A network of one crop per hand is two files, OUT_landmarks.onnx and OUT_stages.onnx.
    """
    from lgnet_core.engines.export import export_onnx
    from lgnet_core.hand_model import load_hand_model
    from lgnet_core.network.checkpoint import crop_size, load_own_network
    from lgnet_core.network.exportable import input_shapes

    wanted = load_hand_model(hand_model)
    network, metadata = load_own_network(weights, wanted)
    out.parent.mkdir(parents=True, exist_ok=True)
    for name, part in network.engine_parts().items():
        whole = part is network
        path = out if whole else out.with_stem(f"{out.stem}_{name}")
        inputs = network.example_inputs(size or crop_size(metadata)) if whole else part.example_inputs()
        with console.status("exporting"):
            export_onnx(part, path, inputs)
        shapes = ", ".join(f"{key} {'x'.join(map(str, shape))}" for key, shape in input_shapes(part, inputs).items())
        console.print(Text(f"{path}: {path.stat().st_size / 1e6:.1f} MB, takes {shapes}"), soft_wrap=True)
    own = network.hand_model
    if own.digest != wanted.digest:
        note = (
            f"note: the file speaks of {own.name!r}, the hand model of its weights; hands of {wanted.name!r} are made "
            "after the network: lgnet_core.inference.retarget"
        )
        console.print(Text(note, "yellow"), soft_wrap=True)


@app.command()
def bench(
    preset: Annotated[
        list[str] | None,
        typer.Option("--preset", "-p", help="Networks to measure by themselves. May be repeated. Default: all."),
    ] = None,
    engine: Annotated[
        list[EngineName] | None, typer.Option("--engine", "-e", help="May be repeated. Default: eager and the fastest.")
    ] = None,
    weights: Weights = None,
    hand_model: HandModelPath = None,
    device: DeviceOption = "auto",
    repetitions: Annotated[int, typer.Option("--repetitions", "-n", min=1, help="Timed calls of each.")] = 50,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of the CPU. Default: one for each core that the process may use.")
    ] = None,
    size: Annotated[
        int | None, typer.Option("--size", min=32, help="Side of the networks' crops, pixels. Default: their own.")
    ] = None,
    beside: Annotated[int, typer.Option(min=0, help="Busy processes that run beside the measured one.")] = 0,
    out: Annotated[Path | None, typer.Option("--json", "-o", help="Also write the figures here.")] = None,
) -> None:
    """Measure what an image costs on this machine, by stage; and of each preset parameters, MACs, latency, memory."""
    from lgnet_core.evaluation.benchmark.bench import run_bench
    from lgnet_core.hand_model import load_hand_model
    from lgnet_core.network import PRESETS

    presets = tuple(PRESETS) if preset is None else preset
    engines = [name.value for name in engine] if engine else None
    with console.status("measuring"):
        report = run_bench(
            load_hand_model(hand_model),
            presets,
            engines,
            device,
            repetitions,
            threads=threads,
            size=size,
            weights=weights,
            beside=beside,
        )
    for table in report.tables():
        wide_console().print(table)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        report.save(out)
        console.print(Text(f"figures: {out}"), soft_wrap=True)


@mano.command("convert")
def mano_convert(
    right: Annotated[Path, typer.Argument(help="MANO_RIGHT.pkl")],
    left: Annotated[Path, typer.Argument(help="MANO_LEFT.pkl")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for hand_right.npz and hand_left.npz.")],
) -> None:
    """Read MANO's pickles without executing anything in them; afterwards give the folder as --hand-model."""
    from lgnet_core.hand_model.mano import convert_mano

    conversion = convert_mano(right, left, out)
    for message in conversion.messages:
        console.print(Text(message), soft_wrap=True)


def main() -> None:
    """The console script: runs a command and tells what went wrong in one line."""
    try:
        app()
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE):
            raise
        expected = isinstance(error, (ValueError, OSError, RuntimeError, ImportError))
        text = str(error) if expected and str(error) else f"{type(error).__name__}: {error} (--debug shows where)"
        Console(stderr=True).print(Text(f"lgnet: {text}", "red"), soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
