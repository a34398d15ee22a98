"""Video files as sequences of frames."""

from __future__ import annotations

from collections.abc import Iterator
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
"""EXIF orientation by the clockwise rotation in degrees that a phone writes into the header of a film."""

_CONVERT = "convert it: ffmpeg -i IN -c:v libx264 OUT.mp4"


class Video:
    """Frames of a video file, decoded one after the other.

    Iterating yields a :class:`LoadedImage` per frame, and an :class:`InputError` if the frames are unusable or the
    video ends early.

    Attributes:
        frames_per_second: from the header, :data:`DEFAULT_FRAME_RATE` if that is implausible.
        frame_count: from the header, which may be wrong; 0: unknown.

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

    def __iter__(self) -> Iterator[LoadedImage | InputError]:
        capture = self._open()
        count, orientation = 0, UPRIGHT
        if capture.get(cv2.CAP_PROP_ORIENTATION_AUTO):  # OpenCV turns the frames
            orientation = _ORIENTATIONS.get(int(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360, UPRIGHT)
        while True:
            good, frame = capture.read()
            if not good:
                break
            image = np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
            try:
                loaded = LoadedImage.from_pixels(image, self.path, f"{self.path.stem}_{count:06d}", orientation)
            except InputError as error:  # too small: all frames have the same size
                capture.release()
                yield error
                return
            yield loaded
            count += 1
        capture.release()
        if not count:
            yield InputError(f"{self.path}: has no readable frame; {_CONVERT}")
        elif count < self.frame_count - 1:  # headers are often off by one
            yield InputError(
                f"{self.path}: ends after {count} of {self.frame_count} frames (truncated or damaged); "
                "the frames before were used"
            )

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(opencv_path(self.path))
        if not capture.isOpened():
            size = self.path.stat().st_size
            raise InputError(
                f"{self.path}: cannot be opened as a video ({size} bytes: truncated, damaged, or in a codec that this "
                f"build of OpenCV lacks); {_CONVERT}"
            )
        return capture
