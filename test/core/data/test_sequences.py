"""Directory trees of images and videos: each folder with images and each video is a sequence."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.stubs import StubEstimator

from lgnet_core.commands.predict import predict_sequences
from lgnet_core.data.sequences import find_other_files, image_sequences
from lgnet_core.io.files import InputError
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
    """EgoHands' layout (one folder per sequence), loose videos, and unrelated files."""
    root = tmp_path / "set"
    for name in ("CARDS_B_T/frame_0011.jpg", "CARDS_B_T/frame_0042.jpg", "CHESS/left/0001.png", "cover.png"):
        image(root / name)
    image(root / ".thumbnails" / "frame.png")
    (root / "readme.txt").write_text("hands")
    (root / "empty").mkdir()
    (root / "CHESS" / "up").symlink_to(root, target_is_directory=True)
    video(root / "CHESS" / "wave.avi")
    return root


def test_every_folder_and_video_is_a_sequence(tree):
    found = image_sequences(tree)
    assert [str(sequence.name) for sequence in found] == [".", "CARDS_B_T", "CHESS/wave.avi", "CHESS/left"]
    assert [len(sequence.source) for sequence in found] == [1, 2, 3, 1]
    assert [item.name for item in found[1].source] == ["frame_0011", "frame_0042"]


def test_single_file_is_a_sequence(tree):
    (sequence,) = image_sequences(tree / "cover.png")
    assert str(sequence.name) == "."
    (sequence,) = image_sequences(tree / "CHESS" / "wave.avi")
    assert sequence.source.is_video


def test_results_keep_the_directory_structure(tree, tmp_path):
    (tree / "CHESS" / "broken.mp4").write_bytes(b"nothing")
    out = tmp_path / "out"
    report = predict_sequences(StubEstimator(), image_sequences(tree), out)
    assert report.images == 7
    assert report.hands[Side.LEFT] == 6  # the stub reports none in a black image, the first of the video
    assert len(report.failures) == 1
    assert "broken.mp4" in report.failures[0]
    assert len(report.notes) == 1  # the missing camera is reported once
    for name in (
        "cover.json",
        "CARDS_B_T/frame_0042.json",
        "CHESS/left/0001_overlay.png",
        "CHESS/wave.avi/wave_000002.json",
    ):
        assert (out / name).exists(), name


def test_sequences_do_not_overwrite_each_other(tmp_path):
    """Two videos and an image whose names differ only in their suffixes."""
    folder, out = tmp_path / "set", tmp_path / "out"
    image(folder / "wave_000001.png")
    video(folder / "wave.avi", 3)
    (folder / "wave.mkv").write_bytes((folder / "wave.avi").read_bytes())
    report = predict_sequences(StubEstimator(), image_sequences(folder), out)
    assert report.failures == []
    assert len(list(out.rglob("*.json"))) == report.images == 7


def test_results_folder_is_skipped(tmp_path):
    folder = tmp_path / "set"
    image(folder / "a.png")
    for _ in range(2):
        assert predict_sequences(StubEstimator(), image_sequences(folder, folder / "out"), folder / "out").images == 1
    with pytest.raises(InputError, match="choose another folder with -o"):
        image_sequences(folder, folder / ".")


def test_files_that_only_look_like_images_are_skipped(tmp_path):
    """A folder with an image suffix, and macOS metadata files."""
    image(tmp_path / "a.png")
    (tmp_path / "old.jpg").mkdir()
    (tmp_path / "._a.png").write_bytes(b"\0\5\x16\7")
    assert [len(sequence.source) for sequence in image_sequences(tmp_path)] == [1]


def test_other_files_are_listed(tree):
    (tree / "CHESS" / "gone.jpg").symlink_to("nowhere")
    (tree / "empty" / "labels.json").write_text("{}")
    (tree / "out").mkdir()
    (tree / "out" / "a.json").write_text("{}")
    (tree / "a.heic").write_bytes(b"not read, but named as an image")
    found = [str(file.relative_to(tree)) for file in find_other_files(tree, tree / "out")]
    assert found == ["readme.txt", "CHESS/gone.jpg", "empty/labels.json"]
    assert find_other_files(tree / "cover.png") == []


def test_unreadable_folder_is_reported_and_skipped(tree, monkeypatch):
    locked, iterdir = tree / "CARDS_B_T", Path.iterdir

    def iterdir_with_locked_folder(folder: Path):
        if folder == locked:
            raise PermissionError(13, "Permission denied")
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir_with_locked_folder)
    found = image_sequences(tree)
    (error,) = (sequence for sequence in found if isinstance(sequence, InputError))
    assert "CARDS_B_T: cannot be listed (Permission denied)" in str(error)
    assert len(found) == 4


def test_missing_or_empty_path_is_rejected(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        image_sequences(tmp_path / "nowhere")
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    with pytest.raises(InputError, match="nor do its subfolders"):
        image_sequences(tmp_path / "empty")
