"""``lgnet replay``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from lgnet_core.cli.options import (
    DeviceOption,
    EngineName,
    EngineOption,
    HandLength,
    HandModelPath,
    RecordOption,
    Threads,
    Threshold,
    Weights,
    console,
)
from lgnet_core.cli.report import print_report
from lgnet_core.io.files import folder_name
from lgnet_core.io.interruption import on_interruption
from lgnet_core.recording.formats import Recorder, check_installed


def replay(
    bag: Annotated[
        Path, typer.Argument(help="A bag of ROS 2: its folder, or its only .mcap or .db3 file.", metavar="BAG")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path("out/replay"),
    image_topic: Annotated[
        str | None, typer.Option(help="Topic of the images. Default: the only one with images.")
    ] = None,
    camera_info_topic: Annotated[
        str | None, typer.Option(help="Topic of the calibration. Default: camera_info beside the images.")
    ] = None,
    weights: Weights = None,
    hand_model: HandModelPath = None,
    device: DeviceOption = "auto",
    engine: EngineOption = EngineName.auto,
    threshold: Threshold = None,
    max_people: Annotated[
        int,
        typer.Option("--max-people", min=1, max=4, help="People whose hands are reported; recordings: the first's."),
    ] = 1,
    hand_length: HandLength = None,
    threads: Threads = None,
    record: RecordOption = None,
) -> None:
    """Estimate hands in a ROS bag, without ROS: writes a bag with the node's messages and overlay images."""
    from lgnet_core.bags.image_bag import ImageBag
    from lgnet_core.bags.result_bag import check_new_bag
    from lgnet_core.commands.replay import replay as replay_bag
    from lgnet_core.commands.report import Report
    from lgnet_core.inference import HandEstimator, HandTracker, Smoothing
    from lgnet_core.io.output import make_folder

    check_installed(record or ())
    name = f"{folder_name(bag) if bag.is_dir() else bag.stem}_hands"
    report = Report()
    with ImageBag(bag, image_topic, camera_info_topic) as images:  # bad input is reported before the network is loaded
        make_folder(out)
        check_new_bag(out / name)
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
        estimator.thresholds = replace(estimator.thresholds, max_people=max_people)
        tracker = HandTracker(estimator, Smoothing())
        recordings = Recorder(record or (), estimator.hand_model).open(out, name)
        with on_interruption(lambda: f"{report.images} image(s) were processed; their results are in {out}"):
            replay_bag(tracker, estimator.hand_model, images, out / name, recordings, report, console)
    print_report(report, out / name)
