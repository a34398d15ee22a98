"""Hand estimation for the images of a file, folder or video, with all results written to disk (``lgnet predict``).

An image ``cat.jpg`` gives ``cat_overlay.png``, ``cat_view.png`` (the meshes from three sides), ``cat.json``,
``cat.npz``, ``cat_right.ply`` and ``cat_left.ply``, and on request ``cat_attention.png``. A video ``wave.mp4`` gives
``wave_overlay.mp4`` and, for each frame, ``wave_000000.json``, ``.npz`` and meshes. The results of each subfolder and
of each video in a folder (``wave.mp4/``) go to a folder of the same name. Images that cannot be used are reported at
the end and do not stop the run.

Hands are in the camera frame of the upright image: if a header turns the image (EXIF, or the rotation of a film), the
camera is turned with it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import cv2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import lgnet_core
from lgnet_core.data.sequences import ImageSequence
from lgnet_core.io.assumed_camera import AssumedCamera
from lgnet_core.io.files import InputError, opencv_path
from lgnet_core.io.images import LoadedImage
from lgnet_core.io.output import OutputError, make_folder
from lgnet_core.io.results import write_hands
from lgnet_core.io.sources import ImageSource
from lgnet_core.types import Camera, FloatArray, Side, TwoHands
from lgnet_core.visualization.drawing import draw_3d, draw_overlay, write_png

VIEW_HEIGHT = 320

MAX_NAMES = 5
"""Files named in one note."""


class Estimator(Protocol):
    """Protocol of :class:`lgnet_core.inference.HandEstimator`."""

    def estimate(self, image: FloatArray, camera: Camera | None = None) -> TwoHands: ...


class AttentionDrawer(Protocol):
    """Protocol of :class:`lgnet_core.visualization.attention.AttentionView`."""

    def draw(self, image: FloatArray, camera: Camera | None = None) -> FloatArray | None: ...


@dataclass
class Report:
    """Summary of a run.

    Args:
        images: number of images processed.
        hands: number of hands found, by side.
        failures: one sentence for each input that could not be used.
        seconds: total time in the estimator.
        total_seconds: total time, with reading, drawing and writing.
        notes: remarks about the results for the user.
    """

    images: int = 0
    hands: Counter[Side] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0
    total_seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def add(self, other: Report) -> None:
        """Merge the report of another run into this one."""
        self.images += other.images
        self.hands.update(other.hands)
        self.seconds += other.seconds
        self.total_seconds += other.total_seconds
        for mine, theirs in ((self.failures, other.failures), (self.notes, other.notes)):
            for sentence in theirs:
                _add_once(mine, sentence)


def predict(
    estimator: Estimator,
    source: ImageSource,
    out: Path,
    camera: Camera | AssumedCamera | None = None,
    provenance: dict[str, Any] | None = None,
    console: Console | None = None,
    attention: AttentionDrawer | None = None,
    report: Report | None = None,
) -> Report:
    """Estimate the hands in every image and write the results to the folder ``out``, which is created.

    If the run is interrupted, the results so far are complete, and a video can be played.

    Args:
        camera: of the images; None: hands are relative to their wrists, and the report says so.
        provenance: further entries of each JSON file (weights, ...).
        console: for a progress bar; None: quiet.
        attention: draws the attention maps of each image; not used for videos.
        report: is filled while the run goes on, so that it is known after an interruption; None: a new one.

    Raises:
        OutputError: if ``out`` is not a folder, or a result cannot be written.
    """
    make_folder(out)
    report = Report() if report is None else report
    started = time.perf_counter()
    video = OverlayVideo(out / f"{source.path.stem}_overlay.mp4", source.frames_per_second) if source.is_video else None
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    progress_bar = Progress(*columns, console=console or Console(quiet=True), transient=True)
    with video or nullcontext(), progress_bar as progress:
        task = progress.add_task("finding hands", total=len(source) or None)
        for item in source:
            try:
                if isinstance(item, InputError):
                    raise item
                overlay = _process_image(
                    estimator, item, out, camera, provenance or {}, report, with_images=video is None
                )
                if video is not None:
                    video.add(overlay)
                elif attention is not None:
                    _draw_attention(attention, item, out, camera, report)
            except ValueError as error:  # unusable input; any other exception is a bug and ends the run
                _add_once(report.failures, _with_file(error, item))
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
        _add_once(
            report.notes, "the camera is assumed, not calibrated: distances are only as right as its focal length"
        )
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
            _add_once(report.failures, str(sequence))
            continue
        part = Report()
        try:
            predict(estimator, sequence.source, out / sequence.name, camera, provenance, console, attention, part)
        finally:
            report.add(part)
    return report


def describe_other_files(files: Sequence[Path]) -> str:
    """A note about files of an input folder that are neither images nor videos."""
    names = ", ".join(str(file) for file in files[:MAX_NAMES])
    more = f" and {len(files) - MAX_NAMES} more" if len(files) > MAX_NAMES else ""
    return f"{len(files)} file(s) are neither images nor videos and were left out: {names}{more}"


def _process_image(
    estimator: Estimator,
    loaded: LoadedImage,
    out: Path,
    camera: Camera | AssumedCamera | None,
    provenance: dict[str, Any],
    report: Report,
    with_images: bool,
) -> FloatArray:
    """Estimate the hands of one image, write the results, and return its overlay."""
    camera = _file_camera(camera, loaded)
    image_camera = None if camera is None else loaded.scale_camera(camera)
    start = time.perf_counter()
    hands = estimator.estimate(loaded.image, image_camera)
    report.seconds += time.perf_counter() - start
    report.images += 1
    report.hands.update(hand.side for hand in hands.hands)
    overlay = draw_overlay(loaded.image, hands, image_camera)
    metadata = {
        "source": str(loaded.source),
        "width": loaded.width,
        "height": loaded.height,
        "lgnet_version": lgnet_core.__version__,
        **provenance,
    }
    upright_camera = None if camera is None else loaded.upright_camera(camera)
    write_hands(out, loaded.name, _in_file_pixels(hands, loaded), upright_camera, **metadata)
    if with_images:
        write_png(out / f"{loaded.name}_overlay.png", overlay)
        write_png(out / f"{loaded.name}_view.png", draw_3d(hands, VIEW_HEIGHT))
    if loaded.downscaled:
        height, width = loaded.image.shape[:2]
        _add_once(
            report.notes,
            f"{loaded.source}: {loaded.width}x{loaded.height} was shrunk to {width}x{height} for the network and "
            "the overlay; 2D results are in pixels of the file",
        )
    if loaded.pages > 1:
        _add_once(
            report.notes,
            f"{loaded.source}: has more than one page or frame, of which the first was used; save the others as files "
            "of their own",
        )
    return overlay


def _draw_attention(
    view: AttentionDrawer, loaded: LoadedImage, out: Path, camera: Camera | AssumedCamera | None, report: Report
) -> None:
    camera = _file_camera(camera, loaded)
    drawn = view.draw(loaded.image, None if camera is None else loaded.scale_camera(camera))
    if drawn is not None:
        write_png(out / f"{loaded.name}_attention.png", drawn)
    else:
        _add_once(report.notes, f"{loaded.source}: no attention maps, since no hand was detected")


def _file_camera(camera: Camera | AssumedCamera | None, loaded: LoadedImage) -> Camera | None:
    """The camera of the image in the file."""
    return camera.for_size(loaded.width, loaded.height) if isinstance(camera, AssumedCamera) else camera


def _in_file_pixels(hands: TwoHands, loaded: LoadedImage) -> TwoHands:
    right, left = (
        hand and replace(hand, joints_2d=loaded.to_file_pixels(hand.joints_2d)) for hand in (hands.right, hands.left)
    )
    return replace(hands, right=right, left=left)


def _add_once(sentences: list[str], sentence: str) -> None:
    """Append a sentence once: frames of a video often fail for the same reason."""
    if sentence not in sentences:
        sentences.append(sentence)


def _with_file(error: ValueError, item: LoadedImage | InputError) -> str:
    """The message of a failure, with the name of its file."""
    return (
        str(error) if isinstance(error, InputError) or not isinstance(item, LoadedImage) else f"{item.source}: {error}"
    )


class OverlayVideo:
    """Writer of an overlay video, as a context manager; its size is that of the first frame.

    On exit the video is finished, also after an interruption, so that what was written can be played.

    Raises:
        OutputError: on exit, if the video could not be written, e.g. to a full disk; nothing is left of it.
    """

    def __init__(self, path: Path, frames_per_second: float) -> None:
        self.path = path
        self.notes: list[str] = []
        self._rate = frames_per_second
        self._writer: cv2.VideoWriter | None = None

    def add(self, image: FloatArray) -> None:
        if self._writer is None:
            size = (image.shape[1], image.shape[0])
            self._writer = cv2.VideoWriter(opencv_path(self.path), cv2.VideoWriter.fourcc(*"mp4v"), self._rate, size)
            if not self._writer.isOpened():
                self.notes.append(
                    f"{self.path}: no overlay video was written: the file cannot be written, or this build of OpenCV "
                    "lacks MPEG-4 (pip install opencv-python-headless)"
                )
        if self._writer.isOpened():
            self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))

    def __enter__(self) -> OverlayVideo:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._writer is None or not self._writer.isOpened():
            return
        self._writer.release()
        if _is_playable(self.path):  # OpenCV does not report failed writes
            return
        self.path.unlink(missing_ok=True)
        if kind is None:
            raise OutputError(f"{self.path}: the video could not be written; free some space, or choose another folder")


def _is_playable(path: Path) -> bool:
    """Whether a video has a readable index and first frame."""
    capture = cv2.VideoCapture(str(path))
    good = bool(capture.isOpened() and capture.read()[0])
    capture.release()
    return good
