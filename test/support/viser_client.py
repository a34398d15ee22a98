"""A browser's side of viser's connection, without a browser: keeps the state that the server sends, clicks, drags."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

import msgspec
import numpy as np
import viser
import zstandard
from viser import _messages
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from support.waiting import wait_for


def open_connection(port: int, **options: Any) -> ClientConnection:
    """A WebSocket to a viser server on this machine; ``options``: of ``connect``."""
    return connect(
        f"ws://127.0.0.1:{port}/",
        subprotocols=[f"viser-v{viser.__version__}"],
        max_size=None,
        open_timeout=None,
        ping_timeout=None,
        proxy=None,
        **options,
    )


class ViserClient:
    """A tab, as a context manager.

    Attributes:
        scene: properties of each scene node by name, with ``visible``, ``position``.
        gui: properties of each GUI element by its uuid, with ``value``.
        replayed: whether the state at the time of connecting was received.
    """

    def __init__(self, port: int, **options: Any) -> None:
        self.scene: dict[str, dict[str, Any]] = {}
        self.gui: dict[str, dict[str, Any]] = {}
        self.replayed = threading.Event()
        self._connection = open_connection(port, **options)
        self._thread = threading.Thread(target=self._receive, daemon=True)

    def __enter__(self) -> ViserClient:
        self._thread.start()
        wait_for(self.replayed.is_set, "the state of the page")
        camera = _messages.ViewerCameraMessage(
            *((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0)), 1.0, 0.1, 10.0, 720, 1280, (0.0, 0.0, 1.0), (0.0, -1.0, 0.0)
        )
        self.send(camera)  # from which on it counts as a tab
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._connection.close()
        self._thread.join()

    def send(self, message: Any) -> None:
        self._connection.send(msgspec.msgpack.encode(message.as_serializable_dict()))

    def element(self, label: str) -> dict[str, Any]:
        """The properties of the only GUI element with a label."""
        (element,) = [element for element in tuple(self.gui.values()) if element.get("label") == label]
        return element

    def texts(self) -> list[str]:
        """Visible Markdown."""
        return [e["_markdown"] for e in tuple(self.gui.values()) if e.get("_markdown") and e["visible"]]

    def set(self, label: str, value: Any) -> None:
        """What a click on a button (True) or a checkbox, or a drag of a slider sends."""
        self.send(_messages.GuiUpdateMessage(self.element(label)["uuid"], {"value": value}))

    def _receive(self) -> None:
        try:
            for data in self._connection:
                for message in _decode(data):
                    self._apply(message)
        except ConnectionClosed:
            pass

    def _apply(self, message: dict[str, Any]) -> None:
        name, uuid, kind = message.get("name"), message.get("uuid"), message["type"]
        if kind == "ReplayDoneMessage":
            self.replayed.set()
        elif uuid is not None and kind.startswith("Gui"):
            element = self.gui.setdefault(uuid, {"uuid": uuid})
            element.update(message.get("props", {}) | message.get("updates", {}))
            if "value" in message:
                element["value"] = message["value"]
        elif name is not None:
            node = self.scene.setdefault(name, {})
            node.update(message.get("props", {}) | message.get("updates", {}))
            node.update({key: message[key] for key in ("visible", "position") if key in message})


def _decode(data: bytes) -> list[dict[str, Any]]:
    """Messages of one window: compressed msgpack, then arrays, each aligned to eight bytes."""
    size = int.from_bytes(data[8:16], "little")
    inner = msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(data[16 : 16 + size]))
    offset, buffers = 16 + size, []
    for length in inner["binaryBufferLengths"]:
        offset += -offset % 8
        buffers.append(data[offset : offset + length])
        offset += length

    def restore(value: Any) -> Any:
        if isinstance(value, dict):
            if "__binary_index" in value:
                return np.frombuffer(buffers[value["__binary_index"]], value["dtype"])
            return {key: restore(item) for key, item in value.items()}
        return value

    return [restore(message) for message in inner["messages"]]
