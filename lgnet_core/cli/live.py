"""``lgnet live``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    Weights,
    choose_camera,
    console,
    print_line,
)
from lgnet_core.io.extras import needs_extra
from lgnet_core.io.interruption import on_interruption
from lgnet_core.recording.formats import Recorder, check_installed

if TYPE_CHECKING:
    from lgnet_core.io.assumed_camera import AssumedCamera
    from lgnet_core.live.sources import LiveSource
    from lgnet_core.types import Camera

DEFAULT_FOV = 60.0
"""Approximate field of view of most webcams, degrees."""


def live(
    path: Annotated[
        Path | None,
        typer.Argument(help="A video, an image or a folder of them, repeated endlessly.", metavar="VIDEO|FOLDER"),
    ] = None,
    camera: Annotated[
        str | None, typer.Option("--camera", "-c", help="Number or device of a camera: 0 (default), /dev/video2.")
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="The bundled clip, without a camera.")] = False,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for recordings.")] = Path("out/live"),
    calibration: Annotated[
        Path | None, typer.Option("--calibration", help="Calibration file written by ROS's camera_calibration.")
    ] = None,
    record: RecordOption = None,
    fov: FieldOfView = None,
    focal: FocalLength = None,
    host: Annotated[
        str, typer.Option("--host", help="Address of the page. Default: reachable from this machine only.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port of the page; the next free one if it is taken.")
    ] = 8080,
    weights: Weights = None,
    hand_model: HandModelPath = None,
    device: DeviceOption = "auto",
    engine: EngineOption = EngineName.auto,
    hand_length: HandLength = None,
    threads: Threads = None,
) -> None:
    """Show the hands of a camera or a video in the browser: overlay, 3D, sliders, recording. Needs the extra live."""
    if sum([path is not None, camera is not None, demo]) > 1:
        raise ValueError("VIDEO, --camera, --demo: give only one of them")
    chosen = choose_camera("--calibration", calibration, fov, focal)
    check_installed(record or ())
    source, model = _open(path, camera, demo, chosen)
    with needs_extra("lgnet live", "live"):
        from lgnet_core.live.page import HandsPage
        from lgnet_core.live.server import LocalServer

    from lgnet_core.inference import HandEstimator, HandTracker
    from lgnet_core.live.loop import LiveLoop

    server = LocalServer(host, port)
    try:
        with console.status("loading the network"):
            estimator = HandEstimator.load(
                weights, device, hand_model, engine.value, hand_length=hand_length, threads=threads
            )
            estimator.warm_up()
        recorder = Recorder(record or (), estimator.hand_model)
        page = HandsPage(server, source.name, out, source.frames_per_second, print_line, lambda *_: None, recorder.open)
        print_line(f"{source.name}: open {server.url} in a browser; Ctrl-C ends")
        if server.warning:
            print_line(f"warning: {server.warning}", "yellow")
        if not demo and chosen is None:
            print_line(
                f"note: a field of view of {DEFAULT_FOV:g} degrees is assumed; distances are only as accurate as that "
                "(--calibration, --fov)",
                "yellow",
            )
        try:
            with on_interruption(lambda: f"recordings, if any, are in {out}"):
                LiveLoop(source, model, HandTracker(estimator), page, print_line).run()
        finally:
            page.stop()
    finally:
        server.stop()


def _open(
    path: Path | None, camera: str | None, demo: bool, chosen: Camera | AssumedCamera | None
) -> tuple[LiveSource, Camera | AssumedCamera]:
    """The source of images and their camera."""
    from lgnet_core.data.clip import read_clip
    from lgnet_core.data.sequences import input_sequences
    from lgnet_core.io.assumed_camera import AssumedCamera
    from lgnet_core.live.sources import CameraSource, ClipSource, FileSource
    from lgnet_core.types import Camera

    if demo:
        clip = read_clip()
        return ClipSource(clip), chosen or clip.camera
    model = chosen or AssumedCamera(math.radians(DEFAULT_FOV))
    if path is not None:
        return FileSource(str(path), input_sequences([path])), model
    size = (model.width, model.height) if isinstance(model, Camera) else None
    return CameraSource(camera or "0", size), model
