"""Video files: frames, frame rate, and unusable videos."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.image_files import quadrants, write_video

from lgnet_core.io.files import InputError
from lgnet_core.io.images import LoadedImage
from lgnet_core.io.orientation import turn_camera
from lgnet_core.io.sources import ImageSource
from lgnet_core.io.video import FrameSelection, Video
from lgnet_core.types import Camera

IMAGE = quadrants()


@pytest.fixture
def video(tmp_path) -> Path:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for k in range(12):
        writer.write(np.roll(IMAGE, k, axis=1)[..., ::-1])
    writer.release()
    return path


def test_frames_and_frame_rate(video):
    source = ImageSource(video)
    frames = list(source)
    assert source.is_video
    assert len(source) == len(frames) == 12
    assert source.frames_per_second == pytest.approx(25)
    assert [f.name for f in frames[:2]] == ["clip_000000", "clip_000001"]
    assert np.abs(frames[3].image.astype(int) - np.roll(IMAGE, 3, axis=1)).mean() < 8


@pytest.mark.parametrize(("clockwise", "orientation"), [(0, 1), (90, 6), (180, 3), (270, 8)])
def test_the_camera_is_turned_with_a_video(tmp_path, clockwise, orientation):
    """Phones store sideways frames and write their rotation into the header."""
    camera = Camera(np.array([[50.0, 0, 20], [0, 60, 30], [0, 0, 1]]), 64, 48)
    (frame, *_) = Video(write_video(tmp_path / "phone.mp4", IMAGE, clockwise=clockwise))
    assert isinstance(frame, LoadedImage)
    assert np.abs(frame.image.astype(int) - np.rot90(IMAGE, -clockwise // 90)).mean() < 20
    turned, expected = frame.scale_camera(camera), turn_camera(camera, orientation)
    np.testing.assert_array_equal(turned.matrix, expected.matrix)
    assert (turned.width, turned.height) == frame.image.shape[1::-1]


def test_video_with_small_frames_yields_one_error(tmp_path):
    path = tmp_path / "tiny.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (8, 8))
    for _ in range(3):
        writer.write(np.zeros((8, 8, 3), np.uint8))
    writer.release()
    (error,) = Video(path)
    assert "has 8x8 pixels" in str(error)


def test_video_without_frames_yields_an_error(tmp_path):
    path = tmp_path / "none.avi"
    cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48)).release()
    (error,) = Video(path)
    assert "has no readable frame" in str(error)


def test_frames_have_their_number_and_time(video):
    frames = list(Video(video))
    assert [frame.frame for frame in frames] == list(range(12))
    assert [frame.time for frame in frames] == pytest.approx([k / 25 for k in range(12)])


@pytest.mark.skipif(not hasattr(cv2, "imwriteanimation"), reason="OpenCV before 4.11 writes no animations")
def test_variable_frame_rate(tmp_path):
    """An animated GIF states how long each frame is shown."""
    animation = cv2.Animation()
    animation.frames = [np.roll(IMAGE, k, axis=1) for k in range(5)]
    animation.durations = np.array([100, 300, 100, 200, 100], np.int32)
    path = tmp_path / "a.gif"
    assert cv2.imwriteanimation(str(path), animation)
    assert [frame.time for frame in Video(path)] == pytest.approx([0, 0.1, 0.4, 0.5, 0.7])


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (FrameSelection(stride=5), [0, 5, 10]),
        (FrameSelection(start=0.2), [5, 6, 7, 8, 9, 10, 11]),
        (FrameSelection(start=0.1, end=0.32, stride=2), [3, 5, 7]),
    ],
)
def test_selected_frames(video, selection, expected):
    source = ImageSource(video)
    source.select_frames(selection)
    frames = list(source)
    assert [frame.frame for frame in frames] == expected
    assert len(source) == len(expected)
    assert source.frames_per_second == pytest.approx(25 / selection.stride)
    assert np.abs(frames[1].image.astype(int) - np.roll(IMAGE, expected[1], axis=1)).mean() < 8


def test_selection_behind_the_end_yields_an_error(video):
    source = Video(video)
    source.selection = FrameSelection(start=3.0)
    (error,) = source
    assert "has no frame from 3 s on; it has 12 frames at 25 per second" in str(error)


@pytest.mark.parametrize("settings", [{"start": -1.0}, {"start": 2.0, "end": 2.0}, {"stride": 0}])
def test_invalid_selection(settings):
    with pytest.raises(ValueError, match="expected"):
        FrameSelection(**settings)


def test_damaged_video_is_rejected(video):
    video.write_bytes(b"RIFF")
    with pytest.raises(InputError, match="cannot be opened as a video"):
        Video(video)
