"""Ctrl-C and SIGTERM end every command in one line, with the exit codes of shells, and leave what was written whole."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.stubs import StubEstimator
from typer.testing import CliRunner

from lgnet_core.cli import app as cli
from lgnet_core.cli.interruption import Terminated
from lgnet_core.inference import HandEstimator
from lgnet_core.synthetic.generator import SyntheticHands


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli.app, [str(a) for a in arguments])
    return result.exit_code, " ".join(result.output.split())


class StoppedEstimator(StubEstimator):
    """Receives a signal in its third image."""

    def __init__(self, signal_error: type[KeyboardInterrupt]) -> None:
        super().__init__()
        self.left, self.signal_error = 2, signal_error

    def estimate(self, *arguments, **options):
        if not self.left:
            raise self.signal_error
        self.left -= 1
        return super().estimate(*arguments, **options)


@pytest.fixture
def video(tmp_path) -> Path:
    path = tmp_path / "wave.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for k in range(6):
        writer.write(np.full((48, 64, 3), 40 * k, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize(("signal_error", "code"), [(KeyboardInterrupt, 130), (Terminated, 143)])
def test_a_stopped_prediction_leaves_a_playable_video(monkeypatch, tmp_path, video, signal_error, code):
    monkeypatch.setattr(HandEstimator, "load", lambda *_, **__: StoppedEstimator(signal_error))
    out = tmp_path / "out"
    assert run("predict", video, "--no-tracking", "-o", out) == (
        code,
        f"lgnet: stopped; 2 image(s) were processed; their results are in {out}",
    )
    capture = cv2.VideoCapture(str(out / "wave_overlay.mp4"))
    assert [capture.read()[0] for _ in range(3)] == [True, True, False]
    assert json.loads((out / "wave_000001.json").read_text())["hands"]


def test_a_stopped_synth_says_how_many_images_there_are(monkeypatch, tmp_path):
    crops = SyntheticHands.crops

    def stop_at_32(self, indices, size):
        if 32 in indices:
            raise KeyboardInterrupt
        return crops(self, indices, size)

    monkeypatch.setattr(SyntheticHands, "crops", stop_at_32)
    code, output = run("synth", "-o", tmp_path / "set", "-n", 40, "--size", 32, "--device", "cpu")
    assert code == 130
    assert f"stopped; 32 images are in {tmp_path / 'set'}; the same command generates the rest" in output


def test_every_command_reports_its_interruption():
    commands = [*cli.app.registered_commands, *cli.mano.registered_commands]
    assert len(commands) == 14
    for command in commands:
        assert command.callback.__code__.co_filename.endswith("interruption.py"), command.callback.__name__


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_of_a_process(number, code):
    """The console script itself, here while a command waits."""
    script = (
        "import signal, sys, time; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from lgnet_core.cli import app, check\n"
        "def wait(*_): print('ready', flush=True); time.sleep(60)\n"
        "import lgnet_core.commands.check as work; work.check_files = wait\n"
        "sys.argv = ['lgnet', 'check']; app.main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code
    assert error.splitlines() == ["lgnet: stopped; run the same command to start again"]
