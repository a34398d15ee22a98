"""What recordings are made of, and their common interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from lgnet_core.types import Camera, ImageArray, TwoHands


@dataclass(frozen=True, eq=False)
class Frame:
    """An image and the hands in it.

    Args:
        number: of the frame in its video, from 0.
        time: seconds from the start of the video; it advances from frame to frame.
        image: (H, W, 3) uint8 RGB.
        hands: with 2D joints in pixels of ``image``.
        camera: of ``image``; None: not calibrated.
    """

    number: int
    time: float
    image: ImageArray
    hands: TwoHands
    camera: Camera | None = None


class Recording(Protocol):
    """Writer of one file, as a context manager.

    On exit the file is complete, also after an interruption, with the frames until then.

    Raises:
        OutputError: if the file cannot be written.
    """

    def add(self, frame: Frame) -> None:
        """Add a frame, later than the last one."""

    def __enter__(self) -> Any: ...

    def __exit__(self, *error: Any) -> None: ...
