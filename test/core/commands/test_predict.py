"""Every image gives all its result files, in pixels of the file; a bad image does not stop the run."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.image_files import set_orientation, write_image, write_video
from support.stubs import StubEstimator

from lgnet_core.commands.predict import VideoOptions, describe_other_files, predict, predict_sequences
from lgnet_core.data.sequences import image_sequences
from lgnet_core.io.output import OutputError
from lgnet_core.io.sources import ImageSource
from lgnet_core.io.video import FrameSelection
from lgnet_core.types import Camera, Side

CAMERA = Camera(np.array([[300.0, 0, 79.5], [0, 300, 59.5], [0, 0, 1]]), 160, 120)


def write(path: Path, height: int = 120, width: int = 160, value: int = 90) -> Path:
    cv2.imwrite(str(path), np.full((height, width, 3), value, np.uint8))
    return path


def test_one_image_gives_all_result_files(tmp_path):
    path = write(tmp_path / "cat.png")
    report = predict(StubEstimator(), ImageSource(path), tmp_path / "a" / "out", CAMERA, {"weights": "stub"})
    made = sorted(p.name for p in (tmp_path / "a" / "out").iterdir())
    assert made == ["cat.glb", "cat.json", "cat.npz", "cat_left.ply", "cat_overlay.png", "cat_view.png"]
    assert (report.images, report.hands[Side.LEFT], report.failures, report.notes) == (1, 1, [], [])
    result = json.loads((tmp_path / "a" / "out" / "cat.json").read_text())
    assert result["source"].endswith("cat.png")
    assert result["weights"] == "stub"
    assert result["metric"] is True
    overlay = cv2.imread(str(tmp_path / "a" / "out" / "cat_overlay.png"))
    assert overlay.shape == (120, 160, 3)
    assert (overlay != 90).any()


def test_without_a_camera_hands_are_wrist_relative(tmp_path):
    report = predict(StubEstimator(), ImageSource(write(tmp_path / "cat.png")), tmp_path / "out")
    assert "relative to its own wrist; give --camera" in report.notes[0]
    assert json.loads((tmp_path / "out" / "cat.json").read_text())["metric"] is False


def test_bad_files_of_a_folder_are_reported_and_skipped(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "a.png")
    (folder / "b.png").write_bytes(b"broken")
    write(folder / "c.png", 64, 64)  # not the camera's size
    write(folder / "d.png", value=0)
    report = predict(StubEstimator(), ImageSource(folder), tmp_path / "out", CAMERA)
    assert report.images == 2
    assert report.hands[Side.LEFT] == 1
    assert ["b.png" in report.failures[0], "c.png" in report.failures[1]] == [True, True]
    assert "calibrated for 160x120" in report.failures[1]
    assert (tmp_path / "out" / "a_overlay.png").exists()
    assert (tmp_path / "out" / "d_overlay.png").exists()
    assert not list((tmp_path / "out").glob("[bc]*"))


def test_errors_of_the_estimator_name_the_file(tmp_path):
    class Failing:
        def estimate(self, image, camera=None):
            raise ValueError("image: too odd")

    report = predict(Failing(), ImageSource(write(tmp_path / "cat.png")), tmp_path / "out")
    assert report.failures == [f"{tmp_path / 'cat.png'}: image: too odd"]


def test_results_of_a_downscaled_image_are_in_pixels_of_the_file(tmp_path, monkeypatch):
    """Joints are at the same pixels of the file whether it was downscaled or not."""
    path = write(tmp_path / "cat.png")
    pixels = []
    for limit in (24_000_000, 120 * 160 // 4):
        monkeypatch.setattr("lgnet_core.io.images.MAX_PIXELS", limit)
        report = predict(StubEstimator(), ImageSource(path), tmp_path / "out", CAMERA)
        assert len(report.notes) == (limit < 20_000)
        with np.load(tmp_path / "out" / "cat.npz") as file:
            pixels.append(file["left_joints_2d"])
    np.testing.assert_allclose(pixels[0], pixels[1], atol=1e-6)
    assert cv2.imread(str(tmp_path / "out" / "cat_overlay.png")).shape == (60, 80, 3)


class StubAttention:
    """Draws a red square for every image except black ones."""

    def draw(self, image, camera=None):
        return np.full((8, 8, 3), (255, 0, 0), np.uint8) if image[0, 0].any() else None


def test_attention_maps_are_written_beside_the_overlay(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "a.png")
    write(folder / "b.png", value=0)
    report = predict(StubEstimator(), ImageSource(folder), tmp_path / "out", CAMERA, attention=StubAttention())
    assert (cv2.imread(str(tmp_path / "out" / "a_attention.png")) == (0, 0, 255)).all()
    assert not (tmp_path / "out" / "b_attention.png").exists()
    assert [note for note in report.notes if "b.png: no attention maps" in note]


def test_video(tmp_path):
    path = tmp_path / "wave.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (160, 120))
    for _ in range(5):
        writer.write(np.full((120, 160, 3), 90, np.uint8))
    writer.release()
    report = predict(StubEstimator(), ImageSource(path), tmp_path / "out", CAMERA)
    assert (report.images, report.failures) == (5, [])
    frames = ImageSource(tmp_path / "out" / "wave_overlay.mp4")
    assert len(list(frames)) == 5
    assert frames.frames_per_second == pytest.approx(25)
    files = sorted((tmp_path / "out").glob("wave_00000?.json"))
    assert len(files) == 5
    assert [json.loads(file.read_text())["time"] for file in files] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])
    assert not list((tmp_path / "out").glob("*.png"))
    with (tmp_path / "out" / "wave.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["frame"]) for row in rows] == [0, 1, 2, 3, 4]
    result = json.loads(files[3].read_text())
    (hand,) = result["hands"]
    row = rows[3]
    assert (row["side"], row["metric"], float(row["time"])) == ("left", "1", 0.12)
    for k, name in ((0, "wrist"), (8, "index_4")):
        assert [float(row[f"{name}_{axis}"]) for axis in "xyz"] == pytest.approx(hand["joints"][k], abs=1e-5)
        assert [float(row[f"{name}_{axis}"]) for axis in "uv"] == pytest.approx(hand["joints_2d"][k], abs=0.01)
        assert float(row[f"{name}_std"]) == pytest.approx(hand["joint_std"][k], abs=1e-5)

    other = Camera(CAMERA.matrix, 320, 240)
    report = predict(StubEstimator(), ImageSource(path), tmp_path / "out2", other)
    assert report.images == 0
    assert len(report.failures) == 1  # once, not for every frame
    assert "wave.avi: the image has 160x120 pixels, but the camera was calibrated for 320x240" in report.failures[0]
    assert sorted(file.name for file in (tmp_path / "out2").iterdir()) == ["wave.csv", "wave.npz"]  # without rows


class StubTracker:
    """Numbers its tracks by the videos for which it was made, and records the stamps."""

    made = 0

    def __init__(self):
        type(self).made += 1
        self.number, self.stamps = self.made, []

    def update(self, image, camera, stamp_ns):
        self.stamps.append(stamp_ns)
        hands = StubEstimator().estimate(image, camera)
        return replace(hands, left=replace(hands.left, track_id=self.number))


def test_each_video_is_tracked_by_a_tracker_of_its_own(tmp_path):
    """Images are not; with stamps of the frames; every other frame; without files for each frame."""
    folder, image = tmp_path / "in", np.full((120, 160, 3), 90, np.uint8)
    folder.mkdir()
    write(folder / "still.png")
    for name in "ab":
        write_video(folder / f"{name}.mp4", image, 5)
    trackers: list[StubTracker] = []

    def make():
        trackers.append(StubTracker())
        return trackers[-1]

    options = VideoOptions(make, FrameSelection(stride=2), overlay_only=True)
    report = predict_sequences(
        StubEstimator(), image_sequences(folder), tmp_path / "out", CAMERA, video_options=options
    )
    assert report.images == 1 + 2 * 3
    assert [tracker.stamps for tracker in trackers] == [[0, 200_000_000, 400_000_000]] * 2
    assert json.loads((tmp_path / "out" / "still.json").read_text())["hands"][0]["track_id"] == 0
    for tracker, name in zip(trackers, "ab"):
        results = tmp_path / "out" / f"{name}.mp4"
        assert sorted(file.name for file in results.iterdir()) == [f"{name}.csv", f"{name}.npz", f"{name}_overlay.mp4"]
        with (results / f"{name}.csv").open() as file:
            assert [(row["frame"], int(row["track_id"])) for row in csv.DictReader(file)] == [
                (frame, tracker.number) for frame in ("0", "2", "4")
            ]


def test_recordings_of_videos_and_of_images(tmp_path):
    """Every frame of a video at its time, and the images of a folder in a row, except as moving meshes."""
    folder, image = tmp_path / "in", np.full((120, 160, 3), 90, np.uint8)
    folder.mkdir()
    for name in "ab":
        write(folder / f"{name}.png")
    write_video(folder / "wave.mp4", image, 5)
    opened = []

    class StubRecorder:
        def open(self, folder, name, moving=True):
            opened.append(StubRecording(folder / name, moving))
            return opened[-1]

    class StubRecording:
        def __init__(self, path, moving):
            self.path, self.moving, self.frames, self.closed = path, moving, [], False

        def add(self, frame):
            self.frames.append(frame)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.closed = True

    options = VideoOptions(frames=FrameSelection(stride=2))
    sequences = image_sequences(folder)
    predict_sequences(
        StubEstimator(), sequences, tmp_path / "out", CAMERA, video_options=options, recorder=StubRecorder()
    )
    stills, video = opened
    assert (stills.path, stills.moving, stills.closed) == (tmp_path / "out" / "in", False, True)
    assert (video.path, video.moving, video.closed) == (tmp_path / "out" / "wave.mp4" / "wave", True, True)
    assert [(frame.number, frame.time) for frame in stills.frames] == [(0, 0.0), (1, 1.0)]
    assert [(frame.number, frame.time) for frame in video.frames] == [(0, 0.0), (2, 0.2), (4, 0.4)]
    for frame in (*stills.frames, *video.frames):
        assert frame.image.shape == (120, 160, 3)
        assert frame.hands.left is not None
        np.testing.assert_array_equal(frame.camera.matrix, CAMERA.matrix)


def test_out_must_be_a_folder(tmp_path):
    (tmp_path / "out").write_text("taken")
    with pytest.raises(OutputError, match=r"cannot be created as a folder .*choose another path"):
        predict(StubEstimator(), ImageSource(write(tmp_path / "cat.png")), tmp_path / "out")


NAMES = ["a:b", "http:c", "50%", "a%03d", "q\"u'o", "-dash", "new\nline", "sp ace", "ümläut", "[x]", "a|b?c#", "b\\s"]


@pytest.mark.parametrize("relative", [True, False])
def test_any_name_of_images_and_videos(tmp_path, monkeypatch, relative):
    """By file and by folder; the overlay video is named after its source."""
    folder, image = tmp_path / "in", np.full((48, 64, 3), 90, np.uint8)
    folder.mkdir()
    for name in NAMES:
        write_image(folder / "image.png", image).rename(folder / f"{name}.png")
        write_video(folder / "video.mp4", image, 2).rename(folder / f"{name}.mp4")
    monkeypatch.chdir(folder)
    root = Path(".") if relative else folder
    report = predict_sequences(StubEstimator(), image_sequences(root), tmp_path / "out")
    for name in NAMES:
        report.add(predict(StubEstimator(), ImageSource(root / f"{name}.mp4"), Path("out") if relative else folder))
    assert report.failures == []
    assert report.images == 5 * len(NAMES)
    for name in NAMES:
        assert (tmp_path / "out" / f"{name}_overlay.png").exists()
        for out in (tmp_path / "out" / f"{name}.mp4", Path("out") if relative else folder):
            assert len(list(ImageSource(out / f"{name}_overlay.mp4"))) == 2


def test_a_name_that_is_not_utf8_is_refused_for_videos_only(tmp_path):
    """OpenCV ends the process with a segmentation fault."""
    name, image = os.fsdecode(b"caf\xe9"), np.full((48, 64, 3), 90, np.uint8)
    write_image(tmp_path / "image.png", image).rename(tmp_path / f"{name}.png")
    write_video(tmp_path / "video.mp4", image).rename(tmp_path / f"{name}.mp4")
    report = predict_sequences(StubEstimator(), image_sequences(tmp_path), tmp_path / "out")
    assert report.images == 1
    assert "is not UTF-8, which OpenCV cannot open; rename it" in report.failures[0]


def test_results_of_a_turned_image_state_its_turned_camera(tmp_path):
    path = set_orientation(write_image(tmp_path / "a.jpg", np.full((120, 160, 3), 90, np.uint8)), 6)
    report = predict(StubEstimator(), ImageSource(path), tmp_path / "out", CAMERA)
    assert report.failures == []
    camera = json.loads((tmp_path / "out" / "a.json").read_text())["camera"]
    assert (camera["width"], camera["height"]) == (120, 160)
    assert camera["matrix"] == [[300, 0, 59.5], [0, 300, 79.5], [0, 0, 1]]


def test_further_pages_are_named(tmp_path):
    image = np.full((48, 64, 3), 90, np.uint8)
    cv2.imwritemulti(str(tmp_path / "a.tiff"), [image, image])
    report = predict(StubEstimator(), ImageSource(tmp_path / "a.tiff"), tmp_path / "out")
    assert "a.tiff: has more than one page" in report.notes[-1]


def test_other_files_are_described():
    files = [Path(f"{k}.txt") for k in range(7)]
    assert describe_other_files(files).endswith("left out: 0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 2 more")
