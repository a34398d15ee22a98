"""Trees of images and videos, as in-the-wild sets come: each folder and each video is a film of its own."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.stubs import StubEstimator

from lgnet_core.commands.predict import predict_sequences
from lgnet_core.data.folders import films
from lgnet_core.io.images import InputError
from lgnet_core.types import Side


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((48, 64, 3), 90, np.uint8))


def video(path: Path, frames: int = 3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for k in range(frames):
        writer.write(np.full((48, 64, 3), 10 * k, np.uint8))
    writer.release()


@pytest.fixture
def tree(tmp_path) -> Path:
    """EgoHands' way (a folder for each film) and loose videos, with other things about."""
    root = tmp_path / "set"
    for name in ("CARDS_B_T/frame_0011.jpg", "CARDS_B_T/frame_0042.jpg", "CHESS/left/0001.png", "cover.png"):
        image(root / name)
    image(root / ".thumbnails" / "frame.png")
    (root / "readme.txt").write_text("hands")
    (root / "empty").mkdir()
    (root / "CHESS" / "up").symlink_to(root, target_is_directory=True)
    video(root / "CHESS" / "wave.avi")
    return root


def test_every_folder_and_every_video_is_a_film(tree):
    found = films(tree)
    assert [str(film.name) for film in found] == [".", "CARDS_B_T", "CHESS/wave.avi", "CHESS/left"]
    assert [len(film.source) for film in found] == [1, 2, 3, 1]
    assert [item.name for item in found[1].source] == ["frame_0011", "frame_0042"]


def test_a_file_is_a_film_by_itself(tree):
    (film,) = films(tree / "cover.png")
    assert str(film.name) == "."
    (film,) = films(tree / "CHESS" / "wave.avi")
    assert film.source.is_video


def test_results_lie_in_the_same_tree(tree, tmp_path):
    (tree / "CHESS" / "broken.mp4").write_bytes(b"nothing")
    out = tmp_path / "out"
    report = predict_sequences(StubEstimator(), films(tree), out)
    assert report.images == 7
    assert report.hands[Side.LEFT] == 6  # the stub sees none in a black image, the first of the video
    assert len(report.failures) == 1
    assert "broken.mp4" in report.failures[0]
    assert len(report.notes) == 1  # the missing camera is told once
    for name in (
        "cover.json",
        "CARDS_B_T/frame_0042.json",
        "CHESS/left/0001_overlay.png",
        "CHESS/wave.avi/wave_000002.json",
    ):
        assert (out / name).exists(), name


def test_no_film_writes_over_another(tmp_path):
    """Two videos and an image whose names differ by their suffixes alone."""
    folder, out = tmp_path / "set", tmp_path / "out"
    image(folder / "wave_000001.png")
    video(folder / "wave.avi", 3)
    (folder / "wave.mkv").write_bytes((folder / "wave.avi").read_bytes())
    report = predict_sequences(StubEstimator(), films(folder), out)
    assert report.failures == []
    assert len(list(out.rglob("*.json"))) == report.images == 7


def test_results_are_not_taken_for_images(tmp_path):
    folder = tmp_path / "set"
    image(folder / "a.png")
    for _ in range(2):
        assert predict_sequences(StubEstimator(), films(folder, folder / "out"), folder / "out").images == 1
    with pytest.raises(InputError, match="name another with -o"):
        films(folder, folder / ".")


def test_what_only_has_the_name_of_a_image_is_left_alone(tmp_path):
    """A folder, and what another system writes beside each image."""
    image(tmp_path / "a.png")
    (tmp_path / "old.jpg").mkdir()
    (tmp_path / "._a.png").write_bytes(b"\0\5\x16\7")
    assert [len(film.source) for film in films(tmp_path)] == [1]


def test_a_folder_that_may_not_be_read_stops_nothing(tree, monkeypatch):
    locked, iterdir = tree / "CARDS_B_T", Path.iterdir

    def look(folder: Path):
        if folder == locked:
            raise PermissionError(13, "Permission denied")
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", look)
    found = films(tree)
    (error,) = (film for film in found if isinstance(film, InputError))
    assert "CARDS_B_T: cannot be looked into (Permission denied)" in str(error)
    assert len(found) == 4


def test_nothing_there_is_told(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        films(tmp_path / "nowhere")
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    with pytest.raises(InputError, match="nor do the folders in it"):
        films(tmp_path / "empty")
