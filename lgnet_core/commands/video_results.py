"""What ``lgnet predict`` writes for a video as a whole."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lgnet_core.io.hands_arrays import HandsArrays
from lgnet_core.io.hands_table import HandsTable
from lgnet_core.io.overlay_video import OverlayVideo
from lgnet_core.recording.frame import Frame
from lgnet_core.types import ImageArray, TwoHands


class VideoResults:
    """Overlay video, table and arrays of a video, as a context manager.

    Args:
        name: of the video, without suffix. out: output folder. frames_per_second: of the frames that are used.
    """

    def __init__(self, name: str, out: Path, frames_per_second: float) -> None:
        self._overlay = OverlayVideo(out / f"{name}_overlay.mp4", frames_per_second)
        self._table = HandsTable(out / f"{name}.csv")
        self._arrays = HandsArrays(out / f"{name}.npz")

    @property
    def notes(self) -> list[str]:
        """Remarks for the user."""
        return self._overlay.notes

    def add(self, frame: Frame, hands: TwoHands, overlay: ImageArray) -> None:
        """Add a frame, its hands with 2D joints in pixels of the file, and its overlay."""
        self._table.add(frame.number, frame.time, hands)
        self._arrays.add(frame.number, frame.time, hands)
        self._overlay.add(overlay, frame.time)

    def __enter__(self) -> VideoResults:
        with ExitStack() as stack:
            stack.enter_context(self._table)
            stack.enter_context(self._arrays)
            stack.enter_context(self._overlay)
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._exit.__exit__(*error)
