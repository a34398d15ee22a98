"""The formats of recordings, and recordings in several of them. Imports no library until a recording is opened."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lgnet_core.recording.frame import Frame, Recording


class RecordingFormat(str, Enum):
    """What images can be recorded as; the value is the suffix of the file."""

    glb = "glb"


@dataclass(frozen=True)
class Recorder:
    """Opens recordings.

    Args:
        formats: of each recording.
    """

    formats: tuple[RecordingFormat, ...] = ()

    def open(self, folder: Path, name: str, moving: bool = True) -> Recordings:
        """A recording ``folder/name.*`` in each format.

        Args:
            moving: whether the frames follow each other in time; unrelated images are not recorded as moving meshes.
        """
        formats = [kind for kind in self.formats if moving or kind is not RecordingFormat.glb]
        return Recordings(self._open_one(kind, folder / f"{name}.{kind.value}") for kind in formats)

    def _open_one(self, kind: RecordingFormat, path: Path) -> Recording:
        from lgnet_core.recording.glb_animation import GlbAnimation

        return GlbAnimation(path)


class Recordings:
    """Several recordings of the same frames, as one."""

    def __init__(self, parts: Iterable[Recording]) -> None:
        self._parts = list(parts)

    def add(self, frame: Frame) -> None:
        """Add a frame to each; see :class:`lgnet_core.recording.frame.Recording`."""
        for part in self._parts:
            part.add(frame)

    def __enter__(self) -> Recordings:
        with ExitStack() as stack:
            for part in self._parts:
                stack.enter_context(part)
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._exit.__exit__(*error)
