"""Endless sequences of live images: the bundled clip, files that are repeated, a camera.

Each yields a :class:`LoadedImage` when it is due, and an :class:`InputError`, once, for a file that cannot be used, and
for a camera that is unplugged: it continues with the next image as soon as there is one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from lgnet_core.data.clip import Clip, ping_pong_indices
from lgnet_core.data.sequences import ImageSequence
from lgnet_core.io.files import InputError
from lgnet_core.io.images import LoadedImage
from lgnet_core.io.video import DEFAULT_FRAME_RATE

STILL_SECONDS = 1.0
"""Duration of a still image and of the last frame of a video: longer than a tracker's gap, so that tracking
restarts."""

RETRY_SECONDS = 2.0
"""Time between two attempts to open a camera."""

Wait = Callable[[float], bool]
"""Waits for a number of seconds; returns True, early, if the source has to stop."""


class LiveSource(Protocol):
    """A source of images.

    Attributes:
        name: for the user.
        frames_per_second: nominal.
    """

    name: str
    frames_per_second: float

    def images(self, wait: Wait) -> Iterator[LoadedImage | InputError]:
        """The images, until ``wait`` returns True."""


class ClipSource:
    """The frames of a clip at its speed, but at the rate of a camera, so that some are repeated.

    It plays alternately forwards and backwards, so that hands never jump.
    """

    def __init__(self, clip: Clip) -> None:
        self.name = "the bundled synthetic clip"
        self.frames_per_second = DEFAULT_FRAME_RATE
        self._clip_frames_per_image = clip.frames_per_second / self.frames_per_second
        self._frames = [
            LoadedImage.from_pixels(clip.frames[k], Path("demo"), "demo") for k in ping_pong_indices(len(clip.frames))
        ]

    def images(self, wait: Wait) -> Iterator[LoadedImage | InputError]:
        start, count = time.monotonic(), 0
        while not wait(max(0.0, start + count / self.frames_per_second - time.monotonic())):
            yield self._frames[int(count * self._clip_frames_per_image) % len(self._frames)]
            count += 1


class FileSource:
    """Images and videos, repeated endlessly; videos at their own speed.

    Args:
        sequences: from :func:`lgnet_core.data.sequences.input_sequences`.
    """

    def __init__(self, name: str, sequences: Sequence[ImageSequence | InputError]) -> None:
        self.name = name
        self._sequences = sequences
        rates = [item.source.frames_per_second for item in sequences if isinstance(item, ImageSequence)]
        self.frames_per_second = max(rates, default=0.0) or DEFAULT_FRAME_RATE

    def images(self, wait: Wait) -> Iterator[LoadedImage | InputError]:
        reported: set[str] = set()
        while True:
            for sequence in self._sequences:
                start = time.monotonic()
                for item in [sequence] if isinstance(sequence, InputError) else sequence.source:
                    if isinstance(item, InputError):
                        if str(item) not in reported:
                            yield item
                        reported.add(str(item))
                    elif item.time is None:
                        yield item
                    else:
                        if wait(max(0.0, start + item.time - time.monotonic())):
                            return
                        yield item
                        continue
                    if wait(STILL_SECONDS):
                        return
                if wait(STILL_SECONDS):
                    return


class CameraSource:
    """A camera, which is reopened periodically while it delivers no images.

    Args:
        device: its number, or a path such as ``/dev/video2``.
        size: (width, height) to ask of it; None: its own.
        open_capture: makes an OpenCV capture of it.
    """

    def __init__(
        self,
        device: str,
        size: tuple[int, int] | None = None,
        open_capture: Callable[..., cv2.VideoCapture] = cv2.VideoCapture,
    ) -> None:
        self.name = f"camera {device}"
        self.frames_per_second = DEFAULT_FRAME_RATE
        self._device: int | str = int(device) if device.isdigit() else device
        self._size = size
        self._open_capture = open_capture

    def images(self, wait: Wait) -> Iterator[LoadedImage | InputError]:
        while not wait(0):
            capture = self._open_capture(self._device)
            try:
                if self._size is not None:
                    capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._size[0])
                    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._size[1])
                opened = capture.isOpened()
                while opened:
                    good, frame = capture.read()
                    if not good:
                        break
                    image = np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
                    yield LoadedImage.from_pixels(image, Path(self.name), "live")
                    if wait(0):
                        return
            finally:
                capture.release()
            yield InputError(self._explain_stopped() if opened else self._explain_missing())
            if wait(RETRY_SECONDS):
                return

    def _explain_stopped(self) -> str:
        return f"{self.name}: delivers no images any more; if it was unplugged, plug it in again ({_RETRIED})"

    def _explain_missing(self) -> str:
        devices = ", ".join(sorted(map(str, Path("/dev").glob("video*"))))
        found = f"this machine has {devices}, of which some may be in use or not permitted to you (group video)"
        return f"{self.name}: cannot be opened; {found if devices else 'this machine has no /dev/video*'} ({_RETRIED})"


_RETRIED = f"retrying every {RETRY_SECONDS:g} s"
