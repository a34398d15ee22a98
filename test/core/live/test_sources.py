"""Live images: their order, their pace, and what happens to files and cameras that fail."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from support.small_clip import small_clip

from lgnet_core.data.sequences import input_sequences
from lgnet_core.io.files import InputError
from lgnet_core.io.images import LoadedImage
from lgnet_core.live import sources
from lgnet_core.live.sources import RETRY_SECONDS, STILL_SECONDS, CameraSource, ClipSource, FileSource


class Clock:
    """Time that passes only while a source waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(sources, "time", SimpleNamespace(monotonic=lambda: self.now))

    def wait(self, seconds: float) -> bool:
        assert seconds >= 0
        self.now += seconds
        return False


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def take(items: Iterator[LoadedImage | InputError], count: int, clock: Clock) -> list[tuple[float, object]]:
    """The next items, each with the time at which it came."""
    return [(round(clock.now, 6), item) for item in itertools.islice(items, count)]


def test_a_clip_goes_forwards_and_backwards_at_its_speed(clock: Clock) -> None:
    """Its frames are repeated up to the rate of a camera."""
    clip = small_clip(3)
    source = ClipSource(clip)
    repeats = round(source.frames_per_second / clip.frames_per_second)
    items = take(source.images(clock.wait), 8 * repeats, clock)
    order = [next(k for k, frame in enumerate(clip.frames) if frame is item.image) for _, item in items]
    assert order == [k for k in (0, 1, 2, 1, 0, 1, 2, 1) for _ in range(repeats)]
    times = np.array([time for time, _ in items])
    np.testing.assert_allclose(times, np.arange(len(times)) / source.frames_per_second, atol=1e-5)


def write_video(path: Path, frames: int, rate: float) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, (64, 48))
    for k in range(frames):
        writer.write(np.full((48, 64, 3), 20 * k, np.uint8))
    writer.release()
    return path


def test_a_video_keeps_its_speed_and_starts_again(clock: Clock, tmp_path: Path) -> None:
    path = write_video(tmp_path / "wave.mp4", frames=5, rate=10)
    source = FileSource(str(path), input_sequences([path]))
    assert source.frames_per_second == 10
    items = take(source.images(clock.wait), 10, clock)
    times = [time for time, _ in items]
    assert times == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, *(0.4 + STILL_SECONDS + k / 10 for k in range(5))])
    levels = [item.image.mean() for _, item in items]
    assert levels[:5] == levels[5:] == sorted(levels[:5])


def test_images_of_a_folder_are_shown_one_after_the_other(clock: Clock, tmp_path: Path) -> None:
    """A file that cannot be read is named once."""
    for name, level in (("a.png", 10), ("c.png", 30)):
        cv2.imwrite(str(tmp_path / name), np.full((48, 64, 3), level, np.uint8))
    (tmp_path / "b.png").write_bytes(b"no image")
    source = FileSource(str(tmp_path), input_sequences([tmp_path]))
    items = [item for _, item in take(source.images(clock.wait), 6, clock)]
    errors = [str(item) for item in items if isinstance(item, InputError)]
    assert len(errors) == 1
    assert "b.png" in errors[0]
    assert [item.image.max() for item in items if isinstance(item, LoadedImage)] == [10, 30, 10, 30, 10]


def test_a_folder_without_any_readable_image_waits(clock: Clock, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    images = FileSource(str(tmp_path), input_sequences([tmp_path])).images(lambda s: clock.wait(s) or clock.now > 5)
    assert len(list(images)) == 1, "it would continue for ever without waiting"


class FakeCapture:
    """An OpenCV capture of a camera that gives ``count`` images until it is unplugged; None: it is not there."""

    def __init__(self, count: int | None) -> None:
        self.count = count
        self.released = False
        self.properties: dict[int, float] = {}

    def isOpened(self) -> bool:
        return self.count is not None

    def set(self, key: int, value: float) -> None:
        self.properties[key] = value

    def read(self) -> tuple[bool, np.ndarray | None]:
        if not self.count:
            return False, None
        self.count -= 1
        return True, np.full((48, 64, 3), (1, 2, 3), np.uint8)

    def release(self) -> None:
        self.released = True


def test_an_unplugged_camera_is_named_and_tried_again(clock: Clock) -> None:
    captures = [FakeCapture(2), FakeCapture(None), FakeCapture(1)]
    opened: list[object] = []

    def open_capture(device: object) -> FakeCapture:
        opened.append(device)
        return captures[len(opened) - 1]

    source = CameraSource("3", (320, 240), open_capture)
    items = take(source.images(clock.wait), 5, clock)
    assert opened == [3, 3, 3]
    assert [type(item) for _, item in items] == [LoadedImage, LoadedImage, InputError, InputError, LoadedImage]
    assert "camera 3: delivers no images any more; if it was unplugged" in str(items[2][1])
    assert "camera 3: cannot be opened" in str(items[3][1])
    assert items[3][0] - items[2][0] == items[4][0] - items[3][0] == RETRY_SECONDS
    assert all(capture.released for capture in captures[:2]), "otherwise it could not be opened again"
    assert captures[0].properties == {cv2.CAP_PROP_FRAME_WIDTH: 320, cv2.CAP_PROP_FRAME_HEIGHT: 240}
    assert items[0][1].image[0, 0].tolist() == [3, 2, 1], "RGB"


def test_a_path_names_a_camera_too() -> None:
    opened: list[object] = []

    def open_capture(device: object) -> FakeCapture:
        opened.append(device)
        return FakeCapture(1)

    next(CameraSource("/dev/video2", None, open_capture).images(lambda seconds: False))
    assert opened == ["/dev/video2"]


def test_a_camera_that_is_not_there_is_named() -> None:
    """With OpenCV itself."""
    (error,) = itertools.islice(CameraSource("99").images(lambda seconds: False), 1)
    assert "camera 99: cannot be opened; this machine has" in str(error)
