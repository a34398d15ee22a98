"""The page in a real browser: what it shows, and that it asks nobody else for anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from support.chromium import Chromium, find_chromium
from support.fixed_hands import two_hands
from support.live import live_view
from support.waiting import wait_for

from lgnet_core.hand_model import HandModel
from lgnet_core.live.page import HandsPage
from lgnet_core.live.server import LocalServer

PROGRAM = find_chromium()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed: apt-get install chromium")

PANEL = 800  # pixels: left of this column is the 3D scene, right of it the panel


def has_both_hands(image: np.ndarray) -> bool:
    """Whether there are orange and blue pixels, 200 of each."""
    red, green, blue = np.moveaxis(image.astype(int), -1, 0)
    orange = (red > blue + 60) & (green > blue + 30)
    sky = (blue > red + 60) & (blue > green + 20)
    return min(orange.sum(), sky.sum()) > 200


def test_hands_and_overlay_in_the_browser(tmp_path: Path, hand_model: HandModel) -> None:
    """With a token, as for other machines."""
    view = live_view(two_hands(hand_model))
    server = LocalServer("0.0.0.0", 0)
    page = HandsPage(server, "camera 7", tmp_path, 30.0, print, lambda *_: None)
    assert PROGRAM is not None
    with Chromium(PROGRAM, tmp_path / "profile") as browser:
        browser.open(f"http://127.0.0.1:{server.get_port()}/?{urlsplit(server.url).query}")
        wait_for(lambda: "Record" in browser.text(), "the panel")

        def meshes_are_drawn() -> bool:
            page.put(replace(view, image=None))
            return has_both_hands(browser.screenshot()[:, :PANEL])

        wait_for(meshes_are_drawn, "the meshes")

        def overlay_is_shown() -> bool:
            page.put(view)
            return has_both_hands(browser.screenshot()[:, PANEL:])

        wait_for(overlay_is_shown, "the overlay")
        page.set_problem("camera 7: delivers no images any more")
        wait_for(lambda: "delivers no images any more" in browser.text(), "the problem")
    page.stop()
    others = [url for url in browser.requests if urlsplit(url).scheme not in ("data", "blob", "about")]
    assert others
    assert {urlsplit(url).hostname for url in others} == {"127.0.0.1"}
