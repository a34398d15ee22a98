"""A recorder writes each format; an interruption or an error of one ends all."""

from __future__ import annotations

import numpy as np
import pytest

from lgnet_core.io.output import OutputError
from lgnet_core.recording.formats import Recorder, RecordingFormat
from lgnet_core.recording.frame import Frame
from lgnet_core.types import TwoHands

FRAME = Frame(0, 0.0, np.zeros((48, 64, 3), np.uint8), TwoHands(None, None, None, False))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder(tuple(RecordingFormat))


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_every_format_gives_a_file(tmp_path, recorder):
    with recorder.open(tmp_path, "wave.x") as recording:
        recording.add(FRAME)
    assert files(tmp_path) == sorted(f"wave.x.{kind.value}" for kind in RecordingFormat)


def test_unrelated_images_do_not_move(tmp_path, recorder):
    with recorder.open(tmp_path, "wave", moving=False) as recording:
        recording.add(FRAME)
    assert "wave.glb" not in files(tmp_path)


def test_nothing_is_left_if_the_folder_is_missing(tmp_path, recorder):
    with pytest.raises(OutputError, match="no such file or directory"), recorder.open(tmp_path / "nowhere", "wave"):
        pass
    assert files(tmp_path) == []


def test_without_formats_nothing_is_written(tmp_path):
    with Recorder().open(tmp_path, "wave") as recording:
        recording.add(FRAME)
    assert files(tmp_path) == []
