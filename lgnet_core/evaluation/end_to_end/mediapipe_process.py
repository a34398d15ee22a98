"""MediaPipe's hand tracker in a subprocess, for comparison on the same images.

It always runs in a subprocess: mediapipe 0.10.21, the last version that ships its models and ``solutions``, requires
numpy 1, while this package is tested with numpy 2. So it needs a separate environment:

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

from lgnet_core.evaluation.end_to_end.reported_hand import ReportedHand
from lgnet_core.types import Camera, ImageArray, Side

_WORKER = Path(__file__).with_name("mediapipe_worker.py")

SIDES = {"Left": Side.RIGHT, "Right": Side.LEFT}
"""MediaPipe's labels assume a mirrored image, as of a selfie camera; ours do not."""


def interpreter_with_mediapipe(python: Path | None) -> Path | None:
    """``python`` if given, else this interpreter if mediapipe is installed; None: mediapipe is not available."""
    if python is not None:
        return python
    return Path(sys.executable) if importlib.util.find_spec("mediapipe") else None


class MediaPipeProcess:
    """A :data:`~lgnet_core.evaluation.end_to_end.reported_hand.Method` and context manager; the process ends on exit.

    Args:
        python: an interpreter with mediapipe.
        video: track hands from image to image; otherwise images are independent.

    Attributes:
        name: MediaPipe and its version.
        seconds: processing time of each image within MediaPipe.

    Raises:
        RuntimeError: if MediaPipe cannot be run, with its last message.
    """

    def __init__(self, python: Path, video: bool = False) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        command = [str(python), "-I", str(_WORKER), "video" if video else "static"]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr
            )
        except OSError as error:
            raise RuntimeError(f"{python}: cannot be run ({error.strerror}); pass a Python with mediapipe") from error
        self._python = python
        self.seconds: list[float] = []
        self.name = f"MediaPipe {self._read_response()['version']}"

    def __enter__(self) -> MediaPipeProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()  # closes stdin, which ends the process
        self._stderr.close()

    def __call__(self, image: ImageArray, camera: Camera | None = None) -> list[ReportedHand]:
        """Estimate the hands of an image; joints are MediaPipe's world landmarks, not placed in the camera frame."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"%d %d\n" % image.shape[:2] + image.tobytes())
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the process ended: _read_response raises its last message
        response = self._read_response()
        self.seconds.append(response["seconds"])
        size = np.array([image.shape[1], image.shape[0]])
        return [
            ReportedHand(
                side=SIDES[hand["label"]],
                joints_2d=np.array(hand["landmarks"]) * size - 0.5,  # normalised, relative to the edges of the image
                joints=np.array(hand["world_landmarks"]),
                placed=False,
            )
            for hand in response["hands"]
        ]

    def _read_response(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            response: dict[str, Any] = json.loads(line)
            return response
        self._process.wait()
        self._stderr.seek(0)
        messages = self._stderr.read().decode(errors="replace").strip().splitlines()
        raise RuntimeError(
            f"{self._python}: MediaPipe exited ({messages[-1] if messages else 'without a message'}); pass a Python "
            "interpreter with mediapipe==0.10.21 installed"
        )
