"""Writing of videos."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from lgnet_core.io.files import opencv_path
from lgnet_core.io.output import OutputError
from lgnet_core.types import ImageArray

MAX_GAP = 10.0
"""Seconds for which a frame is repeated at most: damaged time stamps may jump by hours."""


class OverlayVideo:
    """Writer of an overlay video, as a context manager; its size is that of the first frame.

    Frames are repeated or left out where the time of the source does not advance evenly, so that the overlay has its
    duration and speed.

    On exit the video is finished, also after an interruption, so that what was written can be played.

    Raises:
        OutputError: on exit, if the video could not be written, e.g. to a full disk; nothing is left of it.
    """

    def __init__(self, path: Path, frames_per_second: float) -> None:
        self.path = path
        self.notes: list[str] = []
        self._rate = frames_per_second
        self._writer: cv2.VideoWriter | None = None
        self._start, self._written = 0.0, 0
        self._last: ImageArray | None = None  # BGR

    def add(self, image: ImageArray, time: float) -> None:
        """Add a frame (H, W, 3) RGB of the source at this time, seconds."""
        if self._writer is None:
            self._start = time
            size = (image.shape[1], image.shape[0])
            self._writer = cv2.VideoWriter(opencv_path(self.path), cv2.VideoWriter.fourcc(*"mp4v"), self._rate, size)
            if not self._writer.isOpened():
                self.notes.append(
                    f"{self.path}: no overlay video was written: the file cannot be written, or this build of OpenCV "
                    "lacks MPEG-4 (pip install opencv-python-headless)"
                )
        if not self._writer.isOpened():
            return
        self._start = max(self._start, time - self._written / self._rate - MAX_GAP)
        due = round((time - self._start) * self._rate)  # its place in the video
        while self._last is not None and self._written < due:
            self._writer.write(self._last)
            self._written += 1
        self._last = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), np.uint8)
        if self._written <= due:
            self._writer.write(self._last)
            self._written += 1

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
