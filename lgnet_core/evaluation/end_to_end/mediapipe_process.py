"""MediaPipe's own hands program on the same images, in a process of its own.

It runs there even where this interpreter has it: mediapipe 0.10.21, the last version that brings its models and
``solutions``, needs numpy 1, while this package is tested with numpy 2. So it gets an environment of its own:

    python -m venv ENVIRONMENT && ENVIRONMENT/bin/pip install mediapipe==0.10.21
    lgnet eval --data realhands --root FOLDER --mediapipe ENVIRONMENT/bin/python
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from lgnet_core.evaluation.reported import ReportedHand
from lgnet_core.types import Camera, FloatArray, Side

_WORKER = Path(__file__).with_name("mediapipe_worker.py")

SIDES = {"Left": Side.RIGHT, "Right": Side.LEFT}
"""MediaPipe's labels are of a mirrored image, as a selfie camera shows it; ours are not mirrored."""


def interpreter_with_mediapipe(given: Path | None) -> Path | None:
    """The given one, or this one where mediapipe is installed; None: there is none."""
    if given is not None:
        return given
    return Path(sys.executable) if importlib.util.find_spec("mediapipe") else None


class MediaPipeProgram:
    """A :data:`~lgnet_core.evaluation.reported.Method`, and a context: leaving it ends the process.

    Args:
        python: an interpreter with mediapipe.
        video: follow the hands from image to image; otherwise each image is judged for itself.

    Attributes:
        name: MediaPipe and its version.
        seconds: that each image took within MediaPipe.

    Raises:
        RuntimeError: if MediaPipe cannot be run, with what it said last.
    """

    def __init__(self, python: Path, video: bool = False) -> None:
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115
        command = [str(python), "-I", str(_WORKER), "video" if video else "static"]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._complaints
            )
        except OSError as error:
            raise RuntimeError(f"{python}: cannot be run ({error.strerror}); name a Python with mediapipe") from error
        self._python = python
        self.seconds: list[float] = []
        self.name = f"MediaPipe {self._answer()['version']}"

    def __enter__(self) -> MediaPipeProgram:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()  # closes its input, which ends it
        self._complaints.close()

    def __call__(self, image: FloatArray, camera: Camera | None = None) -> list[ReportedHand]:
        """The hands of an image; joints are MediaPipe's world landmarks, which have no place in the camera's frame."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"%d %d\n" % image.shape[:2] + image.tobytes())
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it ended: _answer raises what it said last
        answer = self._answer()
        self.seconds.append(answer["seconds"])
        size = np.array([image.shape[1], image.shape[0]])
        return [
            ReportedHand(
                side=SIDES[hand["label"]],
                joints_2d=np.array(hand["landmarks"]) * size - 0.5,  # parts of the image's extent, from its edges
                joints=np.array(hand["world_landmarks"]),
                placed=False,
            )
            for hand in answer["hands"]
        ]

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        self._process.wait()
        self._complaints.seek(0)
        said = self._complaints.read().decode(errors="replace").strip().splitlines()
        raise RuntimeError(
            f"{self._python}: MediaPipe ended ({said[-1] if said else 'it said nothing'}); give a Python in which "
            "`pip install mediapipe==0.10.21` was done"
        )
