"""Recording of what the page shows: an overlay video and a table, as ``lgnet predict`` writes them for a video."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from lgnet_core.commands.predict import in_file_pixels
from lgnet_core.commands.video_results import VideoResults
from lgnet_core.io.images import LoadedImage
from lgnet_core.io.output import explain, make_folder
from lgnet_core.live.view import LiveView
from lgnet_core.recording.formats import Recordings
from lgnet_core.recording.frame import Frame
from lgnet_core.visualization.drawing import draw_overlay

QUEUE_LENGTH = 60
"""Images that wait to be drawn and encoded: two seconds; further ones are left out."""

OpenRecordings = Callable[[Path, str], Recordings]


def no_recordings(folder: Path, name: str) -> Recordings:
    """The default of ``open_recordings``: no further formats."""
    return Recordings()


class Recorder:
    """Writes one recording in a thread of its own, so that neither the network nor the page waits for the disk.

    The video shows everybody's hands, the table and the other files have those of the first person.

    Args:
        out: folder for the files, which is created; their names contain the time of day.
        frames_per_second: of the video.
        open_recordings: of further formats, of a folder and a name; see
            :meth:`lgnet_core.recording.formats.Recorder.open`.
        on_end: called with one sentence about the files, or about why the recording ended.

    Attributes:
        name: of the files.
        left_out: images that were not recorded, since the machine is too slow.

    Raises:
        OutputError: if ``out`` is not a folder that can be written to.
    """

    def __init__(
        self, out: Path, frames_per_second: float, open_recordings: OpenRecordings, on_end: Callable[[str], None]
    ) -> None:
        make_folder(out)
        self.out = out
        self.name = time.strftime("%Y%m%d_%H%M%S")
        self.left_out = 0
        self._on_end = on_end
        self._count = 0
        self._first: LoadedImage | None = None
        self._views: queue.Queue[LiveView | None] = queue.Queue(QUEUE_LENGTH)
        self._results = VideoResults(self.name, out, frames_per_second)
        self._recordings = open_recordings(out, self.name)
        self._files = ExitStack()
        self._files.enter_context(self._results)
        self._files.enter_context(self._recordings)
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def add(self, view: LiveView) -> None:
        """Record an image, without waiting; views without an image are ignored."""
        if view.image is None:
            return
        try:
            self._views.put_nowait(view)
        except queue.Full:
            self.left_out += 1

    def stop(self) -> None:
        """Finish the files."""
        while self._thread.is_alive():
            with suppress(queue.Full):
                self._views.put(None, timeout=0.1)
                self._thread.join()

    def _run(self) -> None:
        try:
            with self._files:
                while (view := self._views.get()) is not None:
                    self._write(view)
        except Exception as error:  # a full disk must not end the page
            self._on_end(f"recording ended: {explain(error)}")
            return
        notes = [f"{self.left_out} images were left out, since the machine is too slow"] if self.left_out else []
        files = f"recorded {self._count} images: {self.out / self.name}_overlay.mp4 and files beside it"
        self._on_end("; ".join([files, *notes, *self._results.notes]))

    def _write(self, view: LiveView) -> None:
        assert view.image is not None
        image, first = view.image, self._first or view.image
        if image.image.shape != first.image.shape:
            raise ValueError(f"the images now have {image.width}x{image.height} pixels; record again for another file")
        self._first = first
        assert None not in (image.frame, image.time, first.frame, first.time)
        number, seconds = image.frame - first.frame, image.time - first.time  # type: ignore[operator]
        frame = Frame(number, seconds, image.image, view.hands.first, view.camera)
        overlay = draw_overlay(image.image, view.hands, view.camera)
        self._results.add(frame, in_file_pixels(frame.hands, image), overlay)
        self._recordings.add(frame)
        self._count += 1
