"""Views of a live image, and what they are shown on, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lgnet_core.inference.tracking.settings import TrackerSettings
from lgnet_core.io.images import LoadedImage
from lgnet_core.live.view import LiveView
from lgnet_core.types import Camera, ImageHands, TwoHands

CAMERA = Camera(np.array([[560.0, 0, 319.5], [0, 560, 239.5], [0, 0, 1]]), 640, 480)


def live_view(*people: TwoHands, k: int = 0) -> LiveView:
    """The hands of several people in image ``k`` of 30 per second."""
    hands = ImageHands([hands for hands in people if hands.hands], metric=True)
    return LiveView(hands, live_image(k=k), CAMERA, 0.02)


def live_image(grey: int = 90, k: int = 0) -> LoadedImage:
    """A VGA image of one grey level."""
    pixels = np.full((480, 640, 3), grey, np.uint8)
    return LoadedImage(pixels, Path("camera"), "live", 640, 480, frame=k, time=k / 30)


class ListPage:
    """Collects what a page would show."""

    def __init__(self) -> None:
        self.settings = TrackerSettings()
        self.views: list[LiveView] = []
        self.problems: list[str] = []

    def put(self, view: LiveView) -> None:
        self.views.append(view)

    def set_problem(self, text: str) -> None:
        self.problems.append(text)
