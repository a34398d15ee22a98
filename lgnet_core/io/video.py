"""Video files as sequences of frames."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from lgnet_core.io.files import InputError, opencv_path
from lgnet_core.io.images import LoadedImage
from lgnet_core.io.orientation import UPRIGHT

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".gif", ".3gp", ".mts", ".m2ts", ".wmv", ".ogv"}
)

DEFAULT_FRAME_RATE = 30.0
"""Frames per second assumed for a video whose header holds no plausible rate."""

_ORIENTATIONS = {90: 6, 180: 3, 270: 8}
"""EXIF orientation by the clockwise rotation in degrees that a phone writes into the header of a video."""

_CONVERT = "convert it: ffmpeg -i IN -c:v libx264 OUT.mp4"


@dataclass(frozen=True)
class FrameSelection:
    """The frames of a video that are used.

    Args:
        start, end: seconds from the start of the video; ``end`` is excluded.
        stride: every how many frames one is used, from ``start``.

    Raises:
        ValueError: if it would select nothing.
    """

    start: float = 0.0
    end: float = math.inf
    stride: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"start {self.start} s, end {self.end} s: expected 0 <= start < end")
        if self.stride < 1:
            raise ValueError(f"stride {self.stride}: expected 1 or more; 2 uses every other frame")


class Video:
    """Frames of a video file, decoded one after the other.

    Iterating yields a :class:`LoadedImage` per frame, and an :class:`InputError` if the frames are unusable or the
    video ends early.

    Attributes:
        frames_per_second: from the header, :data:`DEFAULT_FRAME_RATE` if that is implausible.
        frame_count: from the header, which may be wrong; 0: unknown.
        selection: the frames that iterating yields; may be assigned.

    Raises:
        InputError: if the file cannot be opened as a video.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        capture = self._open()
        rate = float(capture.get(cv2.CAP_PROP_FPS))
        self.frames_per_second = rate if np.isfinite(rate) and 0 < rate <= 1000 else DEFAULT_FRAME_RATE
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        capture.release()
        self.frame_count = max(0, int(count)) if np.isfinite(count) else 0
        self.selection = FrameSelection()

    def __len__(self) -> int:
        """Number of selected frames according to the header."""
        rate = self.frames_per_second
        first = min(self.frame_count, math.ceil(self.selection.start * rate))
        last = self.frame_count if math.isinf(self.selection.end) else math.ceil(self.selection.end * rate)
        return -(-max(0, min(last, self.frame_count) - first) // self.selection.stride)

    def __iter__(self) -> Iterator[LoadedImage | InputError]:
        capture = self._open()
        count, orientation = 0, UPRIGHT
        if capture.get(cv2.CAP_PROP_ORIENTATION_AUTO):  # OpenCV turns the frames
            orientation = _ORIENTATIONS.get(int(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360, UPRIGHT)
        selection, used, time, complete = self.selection, 0, -1.0, True
        while capture.grab():
            time = self._frame_time(capture, count, time)
            if time >= selection.end:
                complete = False
                break
            count += 1
            if time < selection.start:
                continue
            used += 1
            if (used - 1) % selection.stride:
                continue
            good, frame = capture.retrieve()
            if not good:
                count, used = count - 1, used - 1
                break
            image = np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
            name = f"{self.path.stem}_{count - 1:06d}"
            try:
                loaded = LoadedImage.from_pixels(image, self.path, name, orientation)
            except InputError as error:  # too small: all frames have the same size
                capture.release()
                yield error
                return
            yield replace(loaded, frame=count - 1, time=time)
        capture.release()
        if not count:
            yield InputError(f"{self.path}: has no readable frame; {_CONVERT}")
        elif not used:
            yield InputError(
                f"{self.path}: has no frame from {selection.start:g} s on; it has {count} frames at "
                f"{self.frames_per_second:g} per second"
            )
        elif complete and count < self.frame_count - 1:  # headers are often off by one
            yield InputError(
                f"{self.path}: ends after {count} of {self.frame_count} frames (truncated or damaged); "
                "the frames before were used"
            )

    def _frame_time(self, capture: cv2.VideoCapture, number: int, last: float) -> float:
        """Time of the frame just grabbed: its time stamp if it is later than the last one's, else by the frame rate."""
        stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if np.isfinite(stamp) and (stamp > last if number else stamp >= 0):
            return float(stamp)
        return last + 1 / self.frames_per_second if number else 0.0

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(opencv_path(self.path))
        if not capture.isOpened():
            size = self.path.stat().st_size
            raise InputError(
                f"{self.path}: cannot be opened as a video ({size} bytes: truncated, damaged, or in a codec that this "
                f"build of OpenCV lacks); {_CONVERT}"
            )
        return capture
