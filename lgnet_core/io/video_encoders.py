"""Encoders of MP4 files: H.264 where PyAV is installed, otherwise MPEG-4 of OpenCV, which browsers do not play."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from lgnet_core.io.files import opencv_path
from lgnet_core.types import ImageArray

H264_OPTIONS = {"preset": "veryfast", "crf": "20"}  # half of MPEG-4's size, on the bundled clip


class VideoEncoder(Protocol):
    """Writes the frames of one file, all (H, W, 3) RGB of one size; odd sizes are extended by a row or column.

    A failed write, e.g. to a full disk, raises an OSError, or nothing: check the file after :meth:`close`.
    """

    def write(self, image: ImageArray) -> None:
        """Append a frame."""

    def close(self) -> None:
        """Finish the file."""


class OpenCVEncoder:
    """MPEG-4 Part 2.

    Raises:
        OSError: the file cannot be written, or this build of OpenCV has no such encoder.
    """

    def __init__(self, path: Path, frames_per_second: float, width: int, height: int) -> None:
        fourcc = cv2.VideoWriter.fourcc(*"mp4v")
        size = (width + width % 2, height + height % 2)
        self._writer = cv2.VideoWriter(opencv_path(path), fourcc, frames_per_second, size)
        if not self._writer.isOpened():
            raise OSError(
                "the file cannot be written, or this build of OpenCV lacks MPEG-4 (pip install opencv-python-headless)"
            )

    def write(self, image: ImageArray) -> None:
        self._writer.write(cv2.cvtColor(_to_even_size(image), cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        self._writer.release()


class PyAVEncoder:
    """H.264.

    Raises:
        ImportError: PyAV is not installed.
        OSError: the file cannot be written.
        ValueError: this build of PyAV has no such encoder.
    """

    def __init__(self, path: Path, frames_per_second: float, width: int, height: int) -> None:
        self._av: Any = importlib.import_module("av")
        codec = self._av.Codec("libx264", "w").name
        # A name with a colon or a percent sign is a protocol or a pattern to FFmpeg, an open file is neither.
        self._file = path.open("wb")
        self._container = self._av.open(self._file, "w", format="mp4", options={"movflags": "faststart"})
        rate = Fraction(frames_per_second).limit_denominator(1001)
        self._stream = self._container.add_stream(codec, rate=rate, options=H264_OPTIONS)
        self._stream.width, self._stream.height = width + width % 2, height + height % 2
        self._stream.pix_fmt = "yuv420p"

    def write(self, image: ImageArray) -> None:
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(_to_even_size(image)), format="rgb24")
        with self._os_errors():
            self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        with self._os_errors(), self._file:
            self._container.mux(self._stream.encode())
            self._container.close()

    @contextmanager
    def _os_errors(self) -> Iterator[None]:
        try:
            yield
        except self._av.FFmpegError as error:  # has lost the error of the file
            raise OSError(str(error)) from error


def _to_even_size(image: ImageArray) -> ImageArray:
    """Colours are stored for blocks of 2 x 2 pixels."""
    bottom, right = (side % 2 for side in image.shape[:2])
    return np.asarray(cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE), np.uint8)


def open_encoder(path: Path, frames_per_second: float, width: int, height: int) -> VideoEncoder:
    """The best encoder that is installed.

    Raises:
        OSError: the file cannot be written.
    """
    try:
        return PyAVEncoder(path, frames_per_second, width, height)
    except (ImportError, ValueError):
        return OpenCVEncoder(path, frames_per_second, width, height)
