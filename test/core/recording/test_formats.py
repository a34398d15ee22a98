"""A recorder writes each format; an interruption or an error of one ends all."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from lgnet_core.io.output import OutputError
from lgnet_core.recording.formats import Recorder, RecordingFormat, check_installed
from lgnet_core.recording.frame import Frame
from lgnet_core.types import TwoHands

FRAME = Frame(0, 0.0, np.zeros((48, 64, 3), np.uint8), TwoHands(None, None, None, False))


@pytest.fixture
def recorder(hand_model) -> Recorder:
    return Recorder(RecordingFormat, hand_model)


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


def test_without_formats_nothing_is_written(tmp_path, hand_model):
    with Recorder((), hand_model).open(tmp_path, "wave") as recording:
        recording.add(FRAME)
    assert files(tmp_path) == []


@pytest.mark.parametrize(("kind", "module", "extra"), [("mcap", "mcap", "foxglove"), ("rrd", "rerun", "rerun")])
def test_a_missing_library_is_named_with_its_extra(monkeypatch, kind, module, extra):
    for name in [name for name in sys.modules if name.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, f"lgnet_core.recording.{kind}_recording", raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"needs {module}.*pip install 'lgnet_ros\[{extra}\]'"):
        check_installed([RecordingFormat(kind)])
