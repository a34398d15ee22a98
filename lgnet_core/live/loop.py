"""The loop from images to the page: reads, tracks, shows. The tracker never waits for the page."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from lgnet_core.commands.predict import file_camera
from lgnet_core.concurrency.latest_value import LatestValue
from lgnet_core.inference.tracking.settings import AdjustableTracker, TrackerSettings
from lgnet_core.io.assumed_camera import AssumedCamera
from lgnet_core.io.files import InputError
from lgnet_core.io.images import LoadedImage
from lgnet_core.live.sources import LiveSource
from lgnet_core.live.view import LiveView
from lgnet_core.types import Camera, ImageArray, ImageHands

_POLL = 0.5  # seconds
SILENCE = 3.0
"""Seconds without an image after which the page reports it: a camera may hang without an error."""


class Tracker(AdjustableTracker, Protocol):
    """Protocol of :class:`lgnet_core.inference.HandTracker`."""

    def update_people(self, image: ImageArray, camera: Camera | None, stamp_ns: int) -> ImageHands: ...


class Page(Protocol):
    """Protocol of :class:`lgnet_core.live.page.HandsPage`."""

    @property
    def settings(self) -> TrackerSettings: ...

    def put(self, view: LiveView) -> None: ...

    def set_problem(self, text: str) -> None: ...


@dataclass(frozen=True, eq=False)
class _Captured:
    """An image with its ``frame`` and ``time``, and when it was captured (``time.perf_counter``)."""

    loaded: LoadedImage
    captured: float


class LiveLoop:
    """Reads a source in one thread, and tracks the hands of its latest image in the thread that calls :meth:`run`.

    Args:
        source: of the images.
        camera: of the images; of those of another size than a calibration, none is used.
        tracker: its settings are those of the page, from image to image.
        page: receives each view, and each problem until the next image.
        report: prints a sentence on the terminal.
    """

    def __init__(
        self,
        source: LiveSource,
        camera: Camera | AssumedCamera,
        tracker: Tracker,
        page: Page,
        report: Callable[[str], None],
    ) -> None:
        self._source, self._camera, self._tracker, self._page = source, camera, tracker, page
        self._report = report
        self._problem = ""
        self._stopping = threading.Event()
        self._latest: LatestValue[_Captured | Exception] = LatestValue()
        self._reader = threading.Thread(target=self._read, name="reader", daemon=True)

    def run(self) -> None:
        """Process images until :meth:`stop` is called or an exception is raised."""
        self._reader.start()
        last = time.monotonic()
        try:
            while not self._stopping.is_set():
                item = self._latest.take(_POLL)
                if item is None:
                    if time.monotonic() - last > SILENCE and not self._problem:
                        self._set_problem(f"{self._source.name}: no image for {SILENCE:g} s")
                    continue
                last = time.monotonic()
                try:
                    if isinstance(item, Exception):
                        raise item
                    self._process(item)
                    self._set_problem("")
                except ValueError as error:  # an image that cannot be used; any other exception is a bug
                    self._set_problem(str(error))
        finally:
            self.stop()

    def stop(self) -> None:
        """End :meth:`run`. Any thread may call it."""
        self._stopping.set()
        self._latest.close()

    def _read(self) -> None:
        start = time.perf_counter()
        count = 0
        try:
            for item in self._source.images(self._stopping.wait):
                now = time.perf_counter()
                if isinstance(item, InputError):
                    self._latest.put(item)
                else:
                    self._latest.put(_Captured(replace(item, frame=count, time=now - start), now))
                    count += 1
        except Exception as error:  # raised again where the images are taken
            self._latest.put(error)

    def _process(self, captured: _Captured) -> None:
        loaded = captured.loaded
        full_camera = file_camera(self._camera, loaded)
        assert full_camera is not None
        assert loaded.time is not None
        camera = loaded.scale_camera(full_camera)
        self._page.settings.apply(self._tracker)
        hands = self._tracker.update_people(loaded.image, camera, round(1e9 * loaded.time))
        latency = time.perf_counter() - captured.captured
        self._page.put(LiveView(hands, loaded, camera, latency))

    def _set_problem(self, text: str) -> None:
        """Show a problem on the page and, once, on the terminal; empty: images arrive again."""
        if text == self._problem:
            return
        self._page.set_problem(text)
        self._report(text or "images arrive again")
        self._problem = text
