"""Hand estimation for the images of a file, folder or video, with all results written to disk (``lgnet predict``).

An image ``cat.jpg`` gives ``cat_overlay.png``, ``cat_view.png`` (the meshes from three sides), ``cat.json``,
``cat.npz``, ``cat_right.ply`` and ``cat_left.ply``, ``cat.glb`` with both meshes, and on request ``cat_attention.png``
and recordings, one for all images of a folder. A video ``wave.mp4`` gives ``wave_overlay.mp4``, the table ``wave.csv``
and ``wave.npz``, on request recordings such as ``wave.glb``, and for each frame ``wave_000000.json``, ``.npz`` and
meshes. The results of each subfolder and of each video in a folder (``wave.mp4/``) go to a folder of the same name.
Images that cannot be used are reported at the end and do not stop the run.

Hands are in the camera frame of the upright image: if a header turns the image (EXIF, or the rotation of a video), the
camera is turned with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import lgnet_core
from lgnet_core.commands.report import Report, add_once
from lgnet_core.commands.video_results import VideoResults
from lgnet_core.data.sequences import ImageSequence
from lgnet_core.io.assumed_camera import AssumedCamera
from lgnet_core.io.files import InputError
from lgnet_core.io.images import LoadedImage
from lgnet_core.io.output import make_folder
from lgnet_core.io.results import write_hands
from lgnet_core.io.sources import ImageSource
from lgnet_core.io.video import FrameSelection
from lgnet_core.recording.formats import Recorder, Recordings
from lgnet_core.recording.frame import Frame
from lgnet_core.recording.glb_animation import write_glb
from lgnet_core.types import Camera, FloatArray, TwoHands
from lgnet_core.visualization.drawing import draw_3d, draw_overlay, write_png

VIEW_HEIGHT = 320

STILL_SECONDS = 1.0
"""Seconds for which a recording shows each image that is not a frame of a video."""

MAX_NAMES = 5
"""Files named in one note."""


class Estimator(Protocol):
    """Protocol of :class:`lgnet_core.inference.HandEstimator`."""

    def estimate(self, image: FloatArray, camera: Camera | None = None) -> TwoHands: ...


class Tracker(Protocol):
    """Protocol of :class:`lgnet_core.inference.HandTracker`."""

    def update(self, image: FloatArray, camera: Camera | None, stamp_ns: int) -> TwoHands: ...


class AttentionDrawer(Protocol):
    """Protocol of :class:`lgnet_core.visualization.attention.AttentionView`."""

    def draw(self, image: FloatArray, camera: Camera | None = None) -> FloatArray | None: ...


@dataclass(frozen=True)
class VideoOptions:
    """How videos are processed.

    Args:
        make_tracker: makes the tracker of a video; None: every frame by itself.
        frames: the frames that are used.
        overlay_only: write the overlay, the table and the recordings, but no files for each frame.
    """

    make_tracker: Callable[[], Tracker] | None = None
    frames: FrameSelection = field(default_factory=FrameSelection)
    overlay_only: bool = False


def predict(
    estimator: Estimator,
    source: ImageSource,
    out: Path,
    camera: Camera | AssumedCamera | None = None,
    provenance: dict[str, Any] | None = None,
    console: Console | None = None,
    attention: AttentionDrawer | None = None,
    report: Report | None = None,
    video_options: VideoOptions | None = None,
    recorder: Recorder | None = None,
) -> Report:
    """Estimate the hands in every image and write the results to the folder ``out``, which is created.

    If the run is interrupted, the results so far are complete, and a video can be played.

    Args:
        camera: of the images; None: hands are relative to their wrists, and the report says so.
        provenance: further entries of each JSON file (weights, ...).
        console: for a progress bar; None: quiet.
        attention: draws the attention maps of each image; not used for videos.
        report: filled during the run, so that it is available after an interruption; None: a new one.
        video_options: None: the defaults.
        recorder: opens the recordings; None: there are none.

    Raises:
        OutputError: if ``out`` is not a folder, or a result cannot be written.
    """
    make_folder(out)
    report = Report() if report is None else report
    started = time.perf_counter()
    options = video_options or VideoOptions()
    source.select_frames(options.frames)
    video = VideoResults(source.path.stem, out, source.frames_per_second) if source.is_video else None
    recordings = recorder.open(out, source.name, source.is_video) if recorder is not None else Recordings()
    estimate = _estimate_by_itself(estimator)
    if video is not None and options.make_tracker is not None:
        estimate = _track(options.make_tracker())
    per_frame = video is None or not options.overlay_only
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    progress_bar = Progress(*columns, console=console or Console(quiet=True), transient=True)
    with video or nullcontext(), recordings, progress_bar as progress:
        task = progress.add_task("finding hands", total=len(source) or None)
        for item in source:
            try:
                if isinstance(item, InputError):
                    raise item
                frame = _process_image(estimate, item, out if per_frame else None, camera, provenance or {}, report)
                if video is None:
                    frame = replace(frame, number=report.images - 1, time=STILL_SECONDS * (report.images - 1))
                overlay = draw_overlay(frame.image, frame.hands, frame.camera)
                recordings.add(frame)
                if video is not None:
                    video.add(frame, in_file_pixels(frame.hands, item), overlay)
                    continue
                write_png(out / f"{item.name}_overlay.png", overlay)
                write_png(out / f"{item.name}_view.png", draw_3d(frame.hands, VIEW_HEIGHT))
                if attention is not None:
                    _draw_attention(attention, item, out, camera, report)
            except ValueError as error:  # unusable input; any other exception is a bug and ends the run
                add_once(report.failures, _with_file(error, item))
            finally:
                progress.advance(task)
    report.total_seconds += time.perf_counter() - started
    if video is not None:
        report.notes += video.notes
    if camera is None and report.images:
        report.notes.insert(
            0,
            "no camera was given: each hand is relative to its own wrist; give --camera K.yaml "
            "(ROS's calibration file), or roughly --fov DEGREES, for hands in metres in the camera frame",
        )
    if isinstance(camera, AssumedCamera) and report.images:
        add_once(report.notes, "the camera is assumed, not calibrated: distances are only as right as its focal length")
    return report


def predict_sequences(
    estimator: Estimator,
    sequences: Sequence[ImageSequence | InputError],
    out: Path,
    camera: Camera | AssumedCamera | None = None,
    provenance: dict[str, Any] | None = None,
    console: Console | None = None,
    attention: AttentionDrawer | None = None,
    report: Report | None = None,
    video_options: VideoOptions | None = None,
    recorder: Recorder | None = None,
) -> Report:
    """Run :func:`predict` for several folders and videos, each into a folder of its name below ``out``.

    Args:
        sequences: from :func:`lgnet_core.data.sequences.input_sequences`. Others: see :func:`predict`.

    Raises:
        OutputError: see :func:`predict`.
    """
    report = Report() if report is None else report
    for sequence in sequences:
        if isinstance(sequence, InputError):
            add_once(report.failures, str(sequence))
            continue
        part = Report()
        try:
            predict(
                estimator,
                sequence.source,
                out / sequence.name,
                camera,
                provenance,
                console,
                attention,
                part,
                video_options,
                recorder,
            )
        finally:
            report.add(part)
    return report


def describe_other_files(files: Sequence[Path]) -> str:
    """A note about files of an input folder that are neither images nor videos."""
    names = ", ".join(str(file) for file in files[:MAX_NAMES])
    more = f" and {len(files) - MAX_NAMES} more" if len(files) > MAX_NAMES else ""
    return f"{len(files)} file(s) are neither images nor videos and were left out: {names}{more}"


Estimate = Callable[[LoadedImage, Camera | None], TwoHands]


def _estimate_by_itself(estimator: Estimator) -> Estimate:
    return lambda loaded, camera: estimator.estimate(loaded.image, camera)


def _track(tracker: Tracker) -> Estimate:
    return lambda loaded, camera: tracker.update(loaded.image, camera, round((loaded.time or 0.0) * 1e9))


def _process_image(
    estimate: Estimate,
    loaded: LoadedImage,
    out: Path | None,
    camera: Camera | AssumedCamera | None,
    provenance: dict[str, Any],
    report: Report,
) -> Frame:
    """Estimate the hands of one image and write their files, unless ``out`` is None."""
    camera = file_camera(camera, loaded)
    image_camera = None if camera is None else loaded.scale_camera(camera)
    start = time.perf_counter()
    hands = estimate(loaded, image_camera)
    report.seconds += time.perf_counter() - start
    report.images += 1
    report.hands.update(hand.side for hand in hands.hands)
    if out is not None:
        metadata = {
            "source": str(loaded.source),
            "width": loaded.width,
            "height": loaded.height,
            **({} if loaded.frame is None else {"frame_number": loaded.frame, "time": loaded.time}),
            "lgnet_version": lgnet_core.__version__,
            **provenance,
        }
        upright_camera = None if camera is None else loaded.upright_camera(camera)
        write_hands(out, loaded.name, in_file_pixels(hands, loaded), upright_camera, **metadata)
        write_glb(out / f"{loaded.name}.glb", hands)
    _note_restrictions(loaded, report)
    return Frame(loaded.frame or 0, loaded.time or 0.0, loaded.image, hands, image_camera)


def _note_restrictions(loaded: LoadedImage, report: Report) -> None:
    """Notes about an image that was not used as it is."""
    if loaded.downscaled:
        height, width = loaded.image.shape[:2]
        add_once(
            report.notes,
            f"{loaded.source}: {loaded.width}x{loaded.height} was shrunk to {width}x{height} for the network and "
            "the overlay; 2D results are in pixels of the file",
        )
    if loaded.pages > 1:
        add_once(
            report.notes,
            f"{loaded.source}: has more than one page or frame, of which the first was used; save the others as files "
            "of their own",
        )


def _draw_attention(
    view: AttentionDrawer, loaded: LoadedImage, out: Path, camera: Camera | AssumedCamera | None, report: Report
) -> None:
    camera = file_camera(camera, loaded)
    drawn = view.draw(loaded.image, None if camera is None else loaded.scale_camera(camera))
    if drawn is not None:
        write_png(out / f"{loaded.name}_attention.png", drawn)
    else:
        add_once(report.notes, f"{loaded.source}: no attention maps, since no hand was detected")


def file_camera(camera: Camera | AssumedCamera | None, loaded: LoadedImage) -> Camera | None:
    """The camera of the image in the file."""
    return camera.for_size(loaded.width, loaded.height) if isinstance(camera, AssumedCamera) else camera


def in_file_pixels(hands: TwoHands, loaded: LoadedImage) -> TwoHands:
    right, left = (
        hand and replace(hand, joints_2d=loaded.to_file_pixels(hand.joints_2d)) for hand in (hands.right, hands.left)
    )
    return replace(hands, right=right, left=left)


def _with_file(error: ValueError, item: LoadedImage | InputError) -> str:
    """The message of a failure, with the name of its file."""
    return (
        str(error) if isinstance(error, InputError) or not isinstance(item, LoadedImage) else f"{item.source}: {error}"
    )
