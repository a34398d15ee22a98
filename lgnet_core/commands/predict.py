"""The work of ``lgnet predict``: every image of a file, folder or video to overlays, meshes and numbers on disk.

An image ``cat.jpg`` gives ``cat_overlay.png``, ``cat_view.png`` (the meshes from three sides), ``cat.json``,
``cat.npz``, ``cat_right.ply`` and ``cat_left.ply``, and if it is asked for ``cat_attention.png``. A video ``wave.mp4``
gives ``wave_overlay.mp4`` and, for each frame, ``wave_000000.json``, ``.npz`` and meshes. Of a folder, the results of
each folder in it and of each video (``wave.mp4/``) go into a folder of that name. An image that cannot be used is told
at the end and stops nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import cv2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import lgnet_core
from lgnet_core.data.folders import ImageSequence
from lgnet_core.io.images import ImageSource, InputError, LoadedImage
from lgnet_core.io.results import write_hands
from lgnet_core.types import Camera, FloatArray, Side, TwoHands
from lgnet_core.visualization.drawing import draw_3d, draw_overlay, write_png

VIEW_HEIGHT = 320


class Estimator(Protocol):
    """What finds hands: :class:`lgnet_core.inference.HandEstimator`, or anything with its ``estimate``."""

    def estimate(self, image: FloatArray, camera: Camera | None = None) -> TwoHands: ...


class View(Protocol):
    """What else is drawn of an image: :class:`lgnet_core.visualization.attention.AttentionView`."""

    def draw(self, image: FloatArray, camera: Camera | None = None) -> FloatArray | None: ...


@dataclass
class Report:
    """What was done.

    Args:
        images: estimated and written.
        hands: how many of each side were found.
        failures: what could not be used, one clear sentence each.
        seconds: spent in the estimator alone, all images.
        notes: what a person should know about the results.
    """

    images: int = 0
    hands: Counter[Side] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def add(self, other: Report) -> None:
        """Take in what was done elsewhere."""
        self.images += other.images
        self.hands.update(other.hands)
        self.seconds += other.seconds
        for mine, theirs in ((self.failures, other.failures), (self.notes, other.notes)):
            for sentence in theirs:
                _add_once(mine, sentence)


def predict(
    estimator: Estimator,
    source: ImageSource,
    out: Path,
    camera: Camera | None = None,
    about: dict[str, Any] | None = None,
    console: Console | None = None,
    attention: View | None = None,
) -> Report:
    """Estimate the hands of every image and write them into the folder ``out``, which is made.

    Args:
        camera: of the images; None: the hands come out relative to their wrists, and the report says so.
        about: what else each JSON file says (weights, ...).
        console: shows a progress bar; None: quiet.
        attention: draws where the network looks in each image; not in videos.

    Raises:
        InputError: if ``out`` is not a folder.
        OSError: if a result cannot be written.
    """
    make_folder(out)
    report = Report()
    video = OverlayVideo(out / f"{source.path.stem}_overlay.mp4", source.frames_per_second) if source.is_video else None
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=console or Console(quiet=True), transient=True) as progress:
        task = progress.add_task("finding hands", total=len(source) or None)
        for item in source:
            try:
                if isinstance(item, InputError):
                    raise item
                overlay = _one(estimator, item, out, camera, about or {}, report, with_images=video is None)
                if video is not None:
                    video.add(overlay)
                elif attention is not None:
                    _draw_attention(attention, item, out, camera, report)
            except ValueError as error:  # an input that cannot be used; anything else is no matter of this image
                _add_once(report.failures, _told(error, item))
            progress.advance(task)
    if video is not None:
        video.close()
        report.notes += video.notes
    if camera is None and report.images:
        report.notes.insert(
            0,
            "no camera was given: each hand is relative to its own wrist; give --camera K.yaml "
            "(ROS's calibration file) for hands in metres in the camera's frame",
        )
    return report


def predict_sequences(
    estimator: Estimator,
    found: Sequence[ImageSequence | InputError],
    out: Path,
    camera: Camera | None = None,
    about: dict[str, Any] | None = None,
    console: Console | None = None,
    attention: View | None = None,
) -> Report:
    """:func:`predict` for several folders and videos, each into the folder of its name below ``out``.

    Args:
        found: of :func:`lgnet_core.data.folders.films`. The rest: see :func:`predict`.

    Raises: see :func:`predict`.
    """
    report = Report()
    for film in found:
        if isinstance(film, InputError):
            _add_once(report.failures, str(film))
            continue
        report.add(predict(estimator, film.source, out / film.name, camera, about, console, attention))
    return report


def make_folder(path: Path) -> None:
    """Make a folder for results and the folders above it.

    Raises:
        InputError: if the path is taken by a file, or may not be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be made a folder ({error.strerror}); name another with -o") from error


def _one(
    estimator: Estimator,
    loaded: LoadedImage,
    out: Path,
    camera: Camera | None,
    about: dict[str, Any],
    report: Report,
    with_images: bool,
) -> FloatArray:
    """Estimate and write one image; returns its overlay."""
    seen_by = None if camera is None else loaded.camera(camera)
    start = time.perf_counter()
    hands = estimator.estimate(loaded.image, seen_by)
    report.seconds += time.perf_counter() - start
    report.images += 1
    report.hands.update(hand.side for hand in hands.hands)
    overlay = draw_overlay(loaded.image, hands, seen_by)
    facts = {
        "source": str(loaded.source),
        "width": loaded.width,
        "height": loaded.height,
        "lgnet_version": lgnet_core.__version__,
        **about,
    }
    write_hands(out, loaded.name, _in_file_pixels(hands, loaded), camera, **facts)
    if with_images:
        write_png(out / f"{loaded.name}_overlay.png", overlay)
        write_png(out / f"{loaded.name}_view.png", draw_3d(hands, VIEW_HEIGHT))
    if loaded.reduced:
        height, width = loaded.image.shape[:2]
        _add_once(
            report.notes,
            f"{loaded.source}: {loaded.width}x{loaded.height} was shrunk to {width}x{height} for the network and "
            "the overlay; the numbers are in the file's own pixels",
        )
    return overlay


def _draw_attention(view: View, loaded: LoadedImage, out: Path, camera: Camera | None, report: Report) -> None:
    drawn = view.draw(loaded.image, None if camera is None else loaded.camera(camera))
    if drawn is not None:
        write_png(out / f"{loaded.name}_attention.png", drawn)
    else:
        _add_once(report.notes, f"{loaded.source}: no attention to draw, since no hand was looked for in it")


def _in_file_pixels(hands: TwoHands, loaded: LoadedImage) -> TwoHands:
    right, left = (
        hand and replace(hand, joints_2d=loaded.file_pixels(hand.joints_2d)) for hand in (hands.right, hands.left)
    )
    return replace(hands, right=right, left=left)


def _add_once(sentences: list[str], sentence: str) -> None:
    """The frames of a video often share their fate: tell it once."""
    if sentence not in sentences:
        sentences.append(sentence)


def _told(error: ValueError, item: LoadedImage | InputError) -> str:
    """Every failure names its file."""
    return (
        str(error) if isinstance(error, InputError) or not isinstance(item, LoadedImage) else f"{item.source}: {error}"
    )


class OverlayVideo:
    """Writes overlays as a video, opened with the first frame's size."""

    def __init__(self, path: Path, frames_per_second: float) -> None:
        self.path = path
        self.notes: list[str] = []
        self._rate = frames_per_second
        self._writer: cv2.VideoWriter | None = None

    def add(self, image: FloatArray) -> None:
        if self._writer is None:
            size = (image.shape[1], image.shape[0])
            self._writer = cv2.VideoWriter(str(self.path), cv2.VideoWriter.fourcc(*"mp4v"), self._rate, size)
            if not self._writer.isOpened():
                self.notes.append(
                    f"{self.path}: this OpenCV cannot write MPEG-4, so there is no overlay video; "
                    "pip install opencv-python-headless"
                )
        if self._writer.isOpened():
            self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.release()
