"""Overlay videos keep the time of their source."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest
from support.disks import file_size_limit

from lgnet_core.io.files import opencv_path
from lgnet_core.io.output import OutputError
from lgnet_core.io.overlay_video import MAX_GAP, OverlayVideo
from lgnet_core.io.video import Video


@pytest.fixture(autouse=True, params=["H.264", "MPEG-4"])
def encoder(request, monkeypatch):
    """With PyAV, and as without it."""
    if request.param == "MPEG-4":
        monkeypatch.setitem(sys.modules, "av", None)
    else:
        pytest.importorskip("av")
    return request.param


def levels(tmp_path, times, rate=10.0) -> list[int]:
    """Grey levels of the video's frames; the k-th source frame has the level 20 k."""
    path = tmp_path / "x.mp4"
    with OverlayVideo(path, rate) as video:
        for k, time in enumerate(times):
            video.add(np.full((48, 64, 3), 20 * k, np.uint8), time)
    assert video.notes == []
    return [round(float(frame.image.mean()) / 20) for frame in Video(path)]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0.0, 0.1, 0.2, 0.3], [0, 1, 2, 3]),
        ([5.0, 5.1, 5.2], [0, 1, 2]),  # from the middle of the source
        ([0.0, 0.1, 0.4, 0.5], [0, 1, 1, 1, 2, 3]),  # the last frame stays until the next one
        ([0.0, 0.02, 0.04, 0.1, 0.2], [0, 3, 4]),  # more frames than the rate has places
    ],
)
def test_frames_are_at_their_time(tmp_path, times, expected):
    assert levels(tmp_path, times) == expected


def test_jump_of_the_time_stamps_is_limited(tmp_path):
    assert len(levels(tmp_path, [0.0, 0.1, 36_000.0, 36_000.1])) == round(MAX_GAP * 10) + 4


@pytest.mark.parametrize("name", ["a:b %d.mp4", "-ä\n'.mp4"])
def test_codec_and_size(tmp_path, encoder, name):
    """Images of odd size keep their content; H.264 needs even sides."""
    image = np.zeros((47, 65, 3), np.uint8)
    image[:, 32:] = 0, 80, 200
    with OverlayVideo(tmp_path / name, 10.0) as video:
        for k in range(3):
            video.add(image, k / 10)
    capture = cv2.VideoCapture(opencv_path(tmp_path / name))
    codec = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little")
    assert codec in {"H.264": (b"avc1", b"h264"), "MPEG-4": (b"mp4v", b"FMP4")}[encoder]
    (*_, last) = Video(tmp_path / name)
    assert abs(last.image[:47, :65].astype(int) - image)[:, [5, 25, 40, 60]].max() < 12


def test_full_disk_leaves_nothing(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (30, 480, 640, 3), np.uint8)
    video = OverlayVideo(tmp_path / "x.mp4", 10.0)
    with file_size_limit(100_000):
        for k, image in enumerate(images):
            video.add(image, k / 10)
        with pytest.raises(OutputError, match="free some space"):
            video.__exit__(None)
    assert not video.path.exists()


def test_unwritable_file_is_a_note(tmp_path):
    with OverlayVideo(tmp_path / "nowhere" / "x.mp4", 10.0) as video:
        video.add(np.zeros((48, 64, 3), np.uint8), 0.0)
        video.add(np.zeros((48, 64, 3), np.uint8), 0.1)
    assert len(video.notes) == 1
