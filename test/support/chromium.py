"""Chromium without a window, driven over its DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from websockets.sync.client import connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium() -> str | None:
    """The program; None where it is not installed."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Chromium:
    """One tab, as a context manager.

    Args:
        program: from :func:`find_chromium`.
        profile: folder for its files.

    Attributes:
        requests: addresses that the page asked for, WebSockets among them.
    """

    def __init__(self, program: str, profile: Path) -> None:
        self.requests: list[str] = []
        options = "--headless=new --no-sandbox --disable-background-networking --no-first-run --window-size=1280,720 "
        options += (
            "--use-angle=swiftshader --enable-unsafe-swiftshader --ignore-gpu-blocklist --remote-debugging-port=0"
        )
        self._process = subprocess.Popen(
            [program, *options.split(), f"--user-data-dir={profile}", "about:blank"], stderr=subprocess.PIPE, text=True
        )
        self._calls = 0

    def __enter__(self) -> Chromium:
        assert self._process.stderr is not None
        address = next(filter(None, (re.search(r"listening on ws://(\S+?)/", line) for line in self._process.stderr)))
        with urllib.request.urlopen(f"http://{address[1]}/json") as response:
            tab = next(target for target in json.load(response) if target["type"] == "page")
        self._socket = connect(tab["webSocketDebuggerUrl"], max_size=None, open_timeout=None, ping_timeout=None)
        for domain in ("Network", "Page", "Runtime"):
            self._call(f"{domain}.enable")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._socket.close()
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        self._process.kill()
        self._process.wait()

    def open(self, url: str) -> None:
        """Go to a page, or load it again."""
        self._call("Page.navigate", url=url)

    def text(self) -> str:
        """What the page says."""
        result = self._call("Runtime.evaluate", expression="document.body ? document.body.innerText : ''")
        return str(result["result"].get("value"))

    def screenshot(self) -> np.ndarray:
        """(720 or less, 1280, 3) RGB."""
        png = base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])
        image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        return np.asarray(image[..., ::-1])

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._calls += 1
        self._socket.send(json.dumps({"id": self._calls, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("method") == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            elif message.get("method") == "Network.webSocketCreated":
                self.requests.append(message["params"]["url"])
            elif message.get("id") == self._calls:
                assert "error" not in message, message
                return message["result"]
