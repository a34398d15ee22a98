"""Hand estimation for the images of a ROS bag, without ROS (``lgnet replay``).

A bag ``drive.mcap`` gives the bag ``drive_hands/`` with what the node publishes, and on request recordings such as
``drive_hands.rrd``. Every image is used; the node, which is bound to the time of the camera, may leave some out.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lgnet_core.bags.image_bag import ImageBag
from lgnet_core.bags.result_bag import ResultBag
from lgnet_core.commands.report import Report, add_once
from lgnet_core.hand_model import HandModel
from lgnet_core.messages.camera_info import CameraConverter
from lgnet_core.messages.camera_info_lookup import stamp_ns
from lgnet_core.messages.compressed import decode_compressed
from lgnet_core.messages.image import decode_raw
from lgnet_core.messages.invalid_message import InvalidMessageError
from lgnet_core.recording.formats import Recordings
from lgnet_core.recording.frame import Frame
from lgnet_core.types import Camera, ImageArray, ImageHands
from lgnet_core.visualization.drawing import draw_overlay


class Tracker(Protocol):
    """Protocol of :class:`lgnet_core.inference.HandTracker`."""

    def update_people(self, image: ImageArray, camera: Camera | None, stamp_ns: int) -> ImageHands: ...

    def reset(self) -> None: ...


def replay(
    tracker: Tracker,
    hand_model: HandModel,
    bag: ImageBag,
    results: Path,
    recordings: Recordings,
    report: Report,
    console: Console | None = None,
) -> None:
    """Estimate the hands in every image of an opened bag and write the results to a new bag.

    If the run is interrupted, the bag of results is complete until then.

    Args:
        results: folder of the new bag.
        recordings: of the first person's hands; their times count from the first one.
        report: filled during the run.
        console: for a progress bar; None: quiet.

    Raises:
        InputError: if the bag is damaged.
        OutputError: if the folder exists already, or a result cannot be written.
    """
    converter = CameraConverter(bag.image_topic)
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    progress_bar = Progress(*columns, console=console or Console(quiet=True), transient=True)
    started, frame_id = time.perf_counter(), None
    first_stamp = last_stamp = None
    with ResultBag(results, hand_model) as written, recordings, progress_bar as progress:
        task = progress.add_task("finding hands", total=len(bag))
        for number, (recorded, message) in enumerate(bag):
            progress.advance(task)
            header, stamp = message.header, stamp_ns(message.header)
            try:
                image = decode_compressed(message) if hasattr(message, "format") else decode_raw(message)
                camera = _camera(bag, converter, header, image)
            except InvalidMessageError as error:
                add_once(report.failures, f"{bag.path}: {error}")
                continue
            if camera is None:
                add_once(report.notes, f"{bag.camera_info_topic} holds no calibration of these images: overlays only")
            if frame_id not in (None, header.frame_id):  # another camera: its hands do not continue the tracks
                tracker.reset()
            frame_id = header.frame_id
            before = time.perf_counter()
            hands = tracker.update_people(image, camera, stamp)
            report.seconds += time.perf_counter() - before
            report.images += 1
            report.hands.update(hand.side for hand in hands.hands)
            written.add(recorded, header, camera, hands, draw_overlay(image, hands, camera))
            if last_stamp is None or stamp > last_stamp:  # recordings cannot go back in time
                first_stamp, last_stamp = first_stamp or stamp, stamp
                recordings.add(Frame(number, (stamp - first_stamp) / 1e9, image, hands.first, camera))
            report.total_seconds = time.perf_counter() - started


def _camera(bag: ImageBag, converter: CameraConverter, header: Any, image: ImageArray) -> Camera | None:
    """The camera of an image; None if it is not calibrated.

    Raises:
        InvalidMessageError: if its calibration cannot be used.
    """
    info = bag.camera_infos.lookup(header)
    height, width = image.shape[:2]
    return None if info is None else converter.convert(info, width, height, "auto")
