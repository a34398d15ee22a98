"""Communication with the MediaPipe subprocess, with a stub of MediaPipe."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from lgnet_core.evaluation.end_to_end.mediapipe_process import MediaPipeProcess, interpreter_with_mediapipe
from lgnet_core.types import Side

STUB_PACKAGE = '''
"""Reports a hand with MediaPipe's label "Left" in every image whose first pixel is not black."""
from types import SimpleNamespace as Some
__version__ = "0.0.stub"
class Hands:
    def __init__(self, static_image_mode, max_num_hands, model_complexity):
        assert (max_num_hands, model_complexity) == (2, 1)
        self.label = "Left" if static_image_mode else "Right"
    def process(self, image):
        if not image[0, 0].any():
            return Some(multi_handedness=None, multi_hand_landmarks=None, multi_hand_world_landmarks=None)
        points = Some(landmark=[Some(x=0.5, y=0.25, z=0.0)] * 21)
        sides = Some(classification=[Some(label=self.label)])
        return Some(multi_handedness=[sides], multi_hand_landmarks=[points], multi_hand_world_landmarks=[points])
solutions = Some(hands=Some(Hands=Hands))
'''


@pytest.fixture
def python(tmp_path) -> Path:
    """An interpreter with the stub."""
    (tmp_path / "mediapipe.py").write_text(STUB_PACKAGE)
    process = tmp_path / "python"
    run = f"import sys, runpy; sys.path.insert(0, {str(tmp_path)!r}); sys.argv = sys.argv[2:]"
    process.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "{run}; runpy.run_path(sys.argv[0], run_name=\'__main__\')" "$@"\n'
    )
    process.chmod(0o755)
    return process


def test_hands_of_images(python):
    image = np.full((40, 60, 3), 9, np.uint8)
    with MediaPipeProcess(python) as process:
        assert process.name == "MediaPipe 0.0.stub"
        (hand,) = process(image)
        assert process(np.zeros((30, 20, 3), np.uint8)) == []
        (again,) = process(image[:, ::2])  # not contiguous
        assert len(process.seconds) == 3
    assert hand.side is Side.RIGHT  # "Left" in a mirrored image
    np.testing.assert_allclose(hand.joints_2d, [[29.5, 9.5]] * 21)
    np.testing.assert_allclose(again.joints_2d, [[14.5, 9.5]] * 21)
    np.testing.assert_allclose(hand.joints, [[0.5, 0.25, 0]] * 21)
    assert not hand.placed


def test_video_mode(python):
    with MediaPipeProcess(python, video=True) as process:
        assert process(np.full((40, 60, 3), 9, np.uint8))[0].side is Side.LEFT


def test_python_without_mediapipe(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'mediapipe'\" >&2\n")
    python.chmod(0o755)
    with pytest.raises(RuntimeError, match=r"MediaPipe exited \(.*No module named 'mediapipe'\); pass a"):
        MediaPipeProcess(python)
    with pytest.raises(RuntimeError, match="no-python: cannot be run"):
        MediaPipeProcess(tmp_path / "no-python")


def test_choice_of_interpreter(monkeypatch):
    assert interpreter_with_mediapipe(Path("/some/python")) == Path("/some/python")
    for installed, expected in ((None, None), (object(), Path(sys.executable))):
        monkeypatch.setattr("importlib.util.find_spec", lambda name, installed=installed: installed)
        assert interpreter_with_mediapipe(None) == expected


@pytest.mark.skipif("LGNET_MEDIAPIPE" not in os.environ, reason="requires LGNET_MEDIAPIPE, a Python with mediapipe")
def test_real_mediapipe():
    with MediaPipeProcess(Path(os.environ["LGNET_MEDIAPIPE"])) as process:
        assert process(np.zeros((240, 320, 3), np.uint8)) == []
