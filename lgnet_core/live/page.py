"""The page: image with overlay, 3D scene, sliders, rates, recording; for this process and for the ROS node alike."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lgnet_core.concurrency.latest_value import LatestValue
from lgnet_core.concurrency.worker import Worker
from lgnet_core.geometry.mesh_distance import ClosestPoints, surface_distance
from lgnet_core.inference.tracking.settings import TrackerSettings
from lgnet_core.io.output import OutputError, explain
from lgnet_core.live.controls import Controls
from lgnet_core.live.rates import RecentEvents
from lgnet_core.live.recorder import OpenRecordings, Recorder, no_recordings
from lgnet_core.live.scene import CAMERA, DISTANCE, JOINTS, MESHES, HandsScene
from lgnet_core.live.server import LocalServer
from lgnet_core.live.view import LiveView
from lgnet_core.types import ImageArray, TwoHands
from lgnet_core.visualization.drawing import draw_overlay

IMAGE_WIDTH = 640
"""Pixels; wider images are shown smaller."""

_JPEG_QUALITY = 75
_STATUS_PERIOD = 0.5  # seconds
_REST = 2.0  # of the time that a view takes: the page takes a third of a core at most, and the network the rest
_STOP_TIMEOUT = 2.0  # seconds to finish the current image
_NO_IMAGE = np.full((360, 480, 3), 230, np.uint8)


class HandsPage:
    """Shows the latest view to any number of browser tabs, in a thread of its own.

    :meth:`put` never waits: views that come faster than they can be drawn replace each other, and after each the page
    pauses, so that it leaves the cores to the network. Without a tab nothing is drawn. A tab that is opened or reloaded
    gets the whole state from the server.

    Args:
        server: of the page.
        title: what the images come from.
        out: folder for recordings.
        frames_per_second: of recorded videos.
        report: prints a sentence on the terminal.
        on_change: called with the name of a setting that a slider changed, and all settings.
        open_recordings: see :class:`lgnet_core.live.recorder.Recorder`.

    Attributes:
        controls: the sliders.
        shown: the views that were sent to the tabs.
    """

    def __init__(
        self,
        server: LocalServer,
        title: str,
        out: Path,
        frames_per_second: float,
        report: Callable[[str], object],
        on_change: Callable[[str, TrackerSettings], None],
        open_recordings: OpenRecordings = no_recordings,
    ) -> None:
        self._server = server
        self._out, self._frames_per_second, self._report = out, frames_per_second, report
        self._open_recordings = open_recordings
        self._received, self.shown = RecentEvents(), RecentEvents()
        self._recorder: Recorder | None = None
        self._recorder_lock = threading.Lock()
        self._scene = HandsScene(server)
        gui = server.gui
        gui.set_panel_label(title)
        self._problem = gui.add_markdown("", visible=False)
        self._image = gui.add_image(_NO_IMAGE, format="jpeg", jpeg_quality=_JPEG_QUALITY)
        self._status = gui.add_markdown("waiting for the first image")
        self._record = gui.add_button("Record", icon=None, hint=f"An overlay video and a table in {out}")
        self._stop_record = gui.add_button("Stop recording", color="red", visible=False)
        self._recorded = gui.add_markdown("", visible=False)
        self._record.on_click(lambda _: self._start_recording())
        self._stop_record.on_click(lambda _: self._stop_recording())
        with gui.add_folder("Detection and smoothing"):
            self.controls = Controls(gui, TrackerSettings(), on_change)
        with gui.add_folder("Show"):
            for name, label in ((MESHES, "meshes"), (JOINTS, "joints"), (CAMERA, "camera"), (DISTANCE, "distance")):
                self._add_switch(name, label)
        self._views: LatestValue[LiveView] = LatestValue()
        self._worker = Worker(self._views, self._show, self._on_error)
        self._stopped = threading.Event()
        self._worker.start()
        self._status_thread = threading.Thread(target=self._update_status, name="page status", daemon=True)
        self._status_thread.start()

    @property
    def settings(self) -> TrackerSettings:
        """Those of the sliders."""
        return self.controls.settings

    def put(self, view: LiveView) -> None:
        """Show and record a view. Returns at once."""
        self._received.add(view.latency)
        self._views.put(view)
        recorder = self._recorder
        if recorder is not None:
            recorder.add(view)

    def set_problem(self, text: str) -> None:
        """Show a problem at the top of the page; empty: there is none any more."""
        if text:
            self._problem.content = f"**{_escape(text)}**"
        self._problem.visible = bool(text)

    def stop(self) -> None:
        """Finish a recording, and close the page."""
        self._stopped.set()
        self._stop_recording()
        self._worker.stop(_STOP_TIMEOUT)
        self._status_thread.join(_STOP_TIMEOUT)
        self._server.stop()

    def _add_switch(self, name: str, label: str) -> None:
        part = self._scene.parts[name]
        box = self._server.gui.add_checkbox(label, True)

        def on_update(_: Any) -> None:
            part.visible = box.value

        box.on_update(on_update)

    def _show(self, view: LiveView) -> None:
        if not self._server.get_clients():
            return
        started = time.perf_counter()
        overlay = None
        if view.image is not None:
            overlay = _fit(draw_overlay(view.image.image, view.hands, view.camera, anti_aliasing=False))
        closest = {person.person: _closest_points(person) for person in view.hands.people}
        with self._server.atomic():
            self._scene.show_hands(view.hands, closest)
            if overlay is None or view.camera is None:
                self._scene.hide_camera()
            else:
                self._image.image = overlay
                self._scene.show_camera(overlay, view.camera)
        self.shown.add()
        self._stopped.wait(_REST * (time.perf_counter() - started))

    def _on_error(self, error: Exception) -> None:
        self.set_problem(f"an image could not be shown: {explain(error)}")

    def _update_status(self) -> None:
        while not self._stopped.wait(_STATUS_PERIOD):
            received = self._received
            if received.rate:
                latency = received.median
                self._status.content = (
                    f"hands **{received.rate:.0f}** per second, latency "
                    f"**{'unknown' if math.isnan(latency) else f'{1000 * latency:.0f} ms'}**; "
                    f"page {self.shown.rate:.0f} per second"
                )
            else:
                self._status.content = "no images"

    def _start_recording(self) -> None:
        with self._recorder_lock:
            if self._recorder is not None:  # started in another tab
                return
            try:
                self._recorder = Recorder(self._out, self._frames_per_second, self._open_recordings, self._on_recorded)
            except OutputError as error:
                self._on_recorded(f"no recording: {error}")
                return
            self._record.visible, self._stop_record.visible = False, True

    def _stop_recording(self) -> None:
        with self._recorder_lock:
            recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.stop()

    def _on_recorded(self, text: str) -> None:
        """Report how a recording ended. Runs in the recorder's thread."""
        self._recorder = None
        self._record.visible, self._stop_record.visible = True, False
        self._recorded.content, self._recorded.visible = _escape(text), True
        self._report(text)


def _closest_points(hands: TwoHands) -> ClosestPoints | None:
    if hands.right is None or hands.left is None:
        return None
    return surface_distance(hands.right.vertices, hands.right.faces, hands.left.vertices, hands.left.faces)


def _fit(image: ImageArray) -> ImageArray:
    """An image that is not wider than :data:`IMAGE_WIDTH`."""
    height, width = image.shape[:2]
    if width <= IMAGE_WIDTH:
        return image
    size = IMAGE_WIDTH, max(1, round(height * IMAGE_WIDTH / width))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _escape(text: str) -> str:
    """Text that Markdown shows as it is."""
    return "".join(f"\\{character}" if character in r"\`*_{}[]()#+!|<>~$" else character for character in text)
