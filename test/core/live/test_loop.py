"""From images to views: settings, problems, the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from support.fixed_hands import FixedTracker
from support.live import CAMERA, ListPage, live_image
from support.waiting import TIMEOUT, wait_for

from lgnet_core.inference.tracking.settings import TrackerSettings
from lgnet_core.io.files import InputError
from lgnet_core.io.images import LoadedImage
from lgnet_core.live import loop
from lgnet_core.live.loop import LiveLoop
from lgnet_core.types import Camera, ImageHands


class SteppedSource:
    """Gives each item when the test puts it."""

    name, frames_per_second = "camera 7", 30.0

    def __init__(self) -> None:
        self._items: list[LoadedImage | Exception] = []
        self._ready = threading.Semaphore(0)

    def put(self, item: LoadedImage | Exception) -> None:
        self._items.append(item)
        self._ready.release()

    def images(self, wait: object) -> Iterator[LoadedImage | InputError]:
        while True:
            self._ready.acquire()
            item = self._items.pop(0)
            if isinstance(item, Exception) and not isinstance(item, InputError):
                raise item
            yield item


class RecordingTracker(FixedTracker):
    """Remembers its settings and stamps."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[TrackerSettings, int, Camera | None]] = []

    def update_people(self, image: np.ndarray, camera: Camera | None, stamp_ns: int) -> ImageHands:
        thresholds = self.estimator.thresholds
        settings = TrackerSettings(thresholds.presence, thresholds.max_people, self.detection_interval, self.max_gap)
        self.calls.append((replace(settings, smoothing=self.smoothing is not None), stamp_ns, camera))
        return super().update_people(image, camera, stamp_ns)


class Running:
    """A loop in a thread of its own."""

    def __init__(self) -> None:
        self.source, self.tracker, self.page = SteppedSource(), RecordingTracker(), ListPage()
        self.reports: list[str] = []
        self.errors: list[BaseException] = []
        self.loop = LiveLoop(self.source, CAMERA, self.tracker, self.page, self.reports.append)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.loop.run()
        except BaseException as error:
            self.errors.append(error)

    def show(self, grey: int = 90) -> None:
        """Give one image, and wait for its view."""
        count = len(self.page.views)
        self.source.put(live_image(grey))
        wait_for(lambda: len(self.page.views) > count, "the view")


@pytest.fixture
def running() -> Iterator[Running]:
    running = Running()
    yield running
    running.loop.stop()
    running.thread.join(TIMEOUT)
    assert not running.thread.is_alive()


def test_views_have_hands_camera_time_and_latency(running: Running) -> None:
    running.show()
    running.show()
    first, second = running.page.views
    assert first.hands.first.right is not None
    assert first.hands.metric
    assert (first.image.frame, second.image.frame) == (0, 1)
    assert first.image.time < second.image.time
    assert first.latency > 0
    np.testing.assert_array_equal(first.camera.matrix, CAMERA.matrix)
    stamps = [stamp for _, stamp, _ in running.tracker.calls]
    assert stamps == [round(1e9 * view.image.time) for view in (first, second)]


def test_sliders_act_on_the_next_image(running: Running) -> None:
    running.show()
    running.page.settings = TrackerSettings(presence_threshold=0.8, detection_interval=3, smoothing=False)
    running.show()
    before, after = (settings for settings, _, _ in running.tracker.calls)
    assert before == TrackerSettings()
    assert after == running.page.settings


def test_a_problem_is_reported_once_and_ends_with_the_next_image(running: Running) -> None:
    running.show()
    for _ in range(3):
        running.source.put(InputError("camera 7: delivers no images any more"))
        running.source.put(InputError("camera 7: delivers no images any more"))
    wait_for(lambda: running.reports, "the problem")
    running.show()
    wait_for(lambda: len(running.reports) == 2, "the end of the problem")
    assert running.reports == ["camera 7: delivers no images any more", "images arrive again"]
    assert running.page.problems == ["camera 7: delivers no images any more", ""]


def test_images_of_another_size_than_the_calibration_are_a_problem(running: Running) -> None:
    image = live_image()
    running.source.put(replace(image, image=image.image[:240], height=240))
    wait_for(lambda: running.reports, "the problem")
    assert "640x240" in running.reports[0]
    assert not running.page.views
    running.show()


def test_silence_is_a_problem(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera may hang without an error."""
    monkeypatch.setattr(loop, "SILENCE", 0.01)
    wait_for(lambda: running.reports, "the problem")
    assert running.reports == ["camera 7: no image for 0.01 s"]


@pytest.mark.parametrize("where", ["source", "tracker"])
def test_bugs_end_the_loop(running: Running, where: str) -> None:
    running.source.put(RuntimeError("a bug") if where == "source" else live_image(grey=1))
    wait_for(lambda: running.errors, "the end")
    assert isinstance(running.errors[0], RuntimeError)
