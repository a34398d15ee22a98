"""Writing of videos."""

from __future__ import annotations

from pathlib import Path

import cv2

from lgnet_core.io.output import OutputError, reason_of
from lgnet_core.io.video_encoders import VideoEncoder, open_encoder
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
        self._encoder: VideoEncoder | None = None
        self._failed = False
        self._start, self._written = 0.0, 0
        self._last: ImageArray | None = None

    def add(self, image: ImageArray, time: float) -> None:
        """Add a frame (H, W, 3) RGB of the source at this time, seconds."""
        if self._encoder is None and not self._failed:
            self._start = time
            height, width = image.shape[:2]
            try:
                self._encoder = open_encoder(self.path, self._rate, width, height)
            except OSError as error:
                self._failed = True
                self.notes.append(f"{self.path}: no overlay video was written: {reason_of(error)}")
        if self._failed:
            return
        self._start = max(self._start, time - self._written / self._rate - MAX_GAP)
        due = round((time - self._start) * self._rate)  # its place in the video
        while self._last is not None and self._written < due:
            self._write(self._last)
        self._last = image
        if self._written <= due:
            self._write(image)

    def _write(self, image: ImageArray) -> None:
        assert self._encoder is not None
        self._written += 1
        try:
            self._encoder.write(image)
        except OSError:
            self._failed = True  # reported on exit, when the other results are complete

    def __enter__(self) -> OverlayVideo:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._encoder is None:
            return
        try:
            self._encoder.close()
        except OSError:
            self._failed = True
        if not self._failed and _is_playable(self.path):  # OpenCV does not report failed writes
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
