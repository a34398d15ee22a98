"""Recordings: complete files, also of an odd end."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh
from support.fixed_hands import two_hands
from support.live import live_view
from support.waiting import wait_for

from lgnet_core.hand_model import HandModel
from lgnet_core.io.output import OutputError
from lgnet_core.live.recorder import Recorder, no_recordings
from lgnet_core.recording.formats import Recorder as FormatRecorder
from lgnet_core.recording.formats import RecordingFormat
from lgnet_core.types import TwoHands


@pytest.fixture(scope="module")
def hands(hand_model: HandModel) -> TwoHands:
    return two_hands(hand_model)


def test_a_recording_is_a_video_and_a_table(hands: TwoHands, tmp_path: Path) -> None:
    reported: list[str] = []
    recorder = Recorder(tmp_path / "new", 30.0, no_recordings, reported.append)
    for k in range(100, 106):
        recorder.add(live_view(hands, k=k))
    recorder.add(replace(live_view(hands), image=None))
    recorder.stop()
    (line,) = reported
    assert line.startswith("recorded 6 images: ")
    with (tmp_path / "new" / f"{recorder.name}.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    assert [int(row["frame"]) for row in rows[::2]] == list(range(6)), "from its own start"
    np.testing.assert_allclose([float(row["time"]) for row in rows[::2]], np.arange(6) / 30, atol=1e-6)
    assert float(rows[0]["wrist_z"]) == pytest.approx(hands.right.joints[0, 2], abs=1e-5)
    capture = cv2.VideoCapture(str(tmp_path / "new" / f"{recorder.name}_overlay.mp4"))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    assert len(frames) == 6
    assert np.ptp(frames[0]) > 50, "with the hands"


def test_further_formats_are_recorded_too(hands: TwoHands, hand_model: HandModel, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, 30.0, FormatRecorder([RecordingFormat.glb], hand_model).open, print)
    for k in range(3):
        recorder.add(live_view(hands, k=k))
    recorder.stop()
    assert len(trimesh.load(tmp_path / f"{recorder.name}.glb").geometry) > 0


def test_nothing_waits_for_a_slow_disk(hands: TwoHands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lgnet_core.live.recorder.QUEUE_LENGTH", 1)
    reported: list[str] = []
    recorder = Recorder(tmp_path, 30.0, no_recordings, reported.append)
    for k in range(50):
        recorder.add(live_view(hands, k=k))
    recorder.stop()
    assert recorder.left_out > 0
    assert f"{recorder.left_out} images were left out" in reported[0]
    assert reported[0].startswith(f"recorded {50 - recorder.left_out} images")


def test_another_image_size_ends_a_recording(hands: TwoHands, tmp_path: Path) -> None:
    reported: list[str] = []
    recorder = Recorder(tmp_path, 30.0, no_recordings, reported.append)
    recorder.add(live_view(hands))
    view = live_view(hands, k=1)
    recorder.add(replace(view, image=replace(view.image, image=view.image.image[:240], height=240)))
    wait_for(lambda: reported, "the end")
    assert reported == ["recording ended: the images now have 640x240 pixels; record again for another file"]
    recorder.stop()
    assert cv2.VideoCapture(str(tmp_path / f"{recorder.name}_overlay.mp4")).read()[0], "what was recorded is complete"


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        Recorder(tmp_path / "file", 30.0, no_recordings, print)
