"""The formats of recordings, and recordings in several of them. Imports no library until a recording is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lgnet_core.hand_model import HandModel
    from lgnet_core.recording.frame import Frame, Recording


class RecordingFormat(str, Enum):
    """What images can be recorded as; the value is the suffix of the file."""

    glb = "glb"
    mcap = "mcap"
    rrd = "rrd"


Opener = Callable[[Path, "HandModel"], "Recording"]


def _opener(kind: RecordingFormat) -> Opener:
    """Import the library of a format."""
    if kind is RecordingFormat.mcap:
        from lgnet_core.recording.mcap_recording import McapRecording

        return McapRecording
    if kind is RecordingFormat.rrd:
        from lgnet_core.recording.rrd_recording import RrdRecording

        return RrdRecording
    from lgnet_core.recording.glb_animation import GlbAnimation

    return lambda path, hand_model: GlbAnimation(path)


def check_installed(formats: Iterable[RecordingFormat]) -> None:
    """Check that the libraries of all formats are installed.

    Raises:
        ImportError: with the command that installs a missing one.
    """
    for kind in formats:
        _opener(kind)


class Recorder:
    """Opens recordings.

    Args:
        formats: of each recording.
        hand_model: of the hands.

    Raises:
        ImportError: see :func:`check_installed`.
    """

    def __init__(self, formats: Iterable[RecordingFormat], hand_model: HandModel) -> None:
        self._hand_model = hand_model
        self._openers = {kind: _opener(kind) for kind in formats}

    def open(self, folder: Path, name: str, moving: bool = True) -> Recordings:
        """A recording ``folder/name.*`` in each format.

        Args:
            moving: whether the frames follow each other in time; unrelated images are not recorded as moving meshes.
        """
        return Recordings(
            opener(folder / f"{name}.{kind.value}", self._hand_model)
            for kind, opener in self._openers.items()
            if moving or kind is not RecordingFormat.glb
        )


class Recordings:
    """Several recordings of the same frames, as one."""

    def __init__(self, parts: Iterable[Recording] = ()) -> None:
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
