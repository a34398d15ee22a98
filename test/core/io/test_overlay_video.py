"""Overlay videos keep the time of their source."""

from __future__ import annotations

import numpy as np
import pytest

from lgnet_core.io.overlay_video import MAX_GAP, OverlayVideo
from lgnet_core.io.video import Video


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
