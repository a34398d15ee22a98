"""Container of binary glTF 2.0 files (GLB): a description in JSON and the arrays it refers to.

Specification: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html
"""

from __future__ import annotations

import json
import shutil
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from lgnet_core import __version__
from lgnet_core.io.output import OutputError, explain_os_error, replacing
from lgnet_core.types import FloatArray

ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963
"""Targets of vertex attributes and of vertex indices."""

_COMPONENT_TYPES = {np.dtype("<f4"): 5126, np.dtype("<u2"): 5123, np.dtype("<u4"): 5125}
_TYPES = {(): "SCALAR", (3,): "VEC3"}
_ALIGNMENT = 4  # bytes, of arrays and chunks
_MAX_BYTES = 2**32 - 1  # lengths have four bytes


class GlbFile:
    """Writer of one file: arrays go to the disk at once, and :meth:`write` makes the file of them.

    Raises:
        OutputError: if the file cannot be written, or would have more than 4 GB, which the format does not allow.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._accessors: list[dict[str, Any]] = []
        self._views: list[dict[str, int]] = []
        self._length = 0

    def open(self) -> None:
        """Create the storage of the arrays."""
        try:
            self._arrays = tempfile.TemporaryFile(dir=self.path.parent)  # noqa: SIM115
        except OSError as error:
            raise OutputError(f"cannot write {explain_os_error(error, self.path)}") from error

    def close(self) -> None:
        """Remove the storage of the arrays."""
        self._arrays.close()

    def add(self, array: FloatArray, target: int | None = None, limits: bool = False) -> int:
        """Store an array of float32, uint16 or uint32, and return the number of its accessor.

        Args:
            array: (N,) or (N, 3).
            target: how the array is used; None: not by the vertices of a mesh.
            limits: state the smallest and the largest values, which positions and times must.
        """
        values = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        view = {"buffer": 0, "byteOffset": self._length, "byteLength": values.nbytes}
        self._views.append(view if target is None else {**view, "target": target})
        accessor: dict[str, Any] = {
            "bufferView": len(self._views) - 1,
            "componentType": _COMPONENT_TYPES[values.dtype],
            "count": len(values),
            "type": _TYPES[values.shape[1:]],
        }
        if limits:
            rows = values.reshape(len(values), -1)
            accessor |= {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()}
        self._accessors.append(accessor)
        data = values.tobytes()
        data += bytes(-len(data) % _ALIGNMENT)
        try:
            self._arrays.write(data)
        except OSError as error:
            raise OutputError(f"cannot write {explain_os_error(error, self.path)}") from error
        self._length += len(data)
        return len(self._accessors) - 1

    def write(self, objects: dict[str, Any]) -> None:
        """Write the file.

        Args:
            objects: top-level objects of the JSON except ``asset``, ``accessors``, ``bufferViews`` and ``buffers``.
        """
        tree = {"asset": {"version": "2.0", "generator": f"lgnet_ros {__version__}"}, **objects}
        if self._length:
            tree |= {"accessors": self._accessors, "bufferViews": self._views}
            tree["buffers"] = [{"byteLength": self._length}]
        text = json.dumps(tree, separators=(",", ":")).encode()
        text += b" " * (-len(text) % _ALIGNMENT)
        total = 12 + 8 + len(text) + (8 + self._length if self._length else 0)
        if total > _MAX_BYTES:
            raise OutputError(
                f"{self.path}: {total / 1e9:.1f} GB are too much for the format, which allows 4 GB; record fewer frames"
            )
        with replacing(self.path) as partial, partial.open("wb") as file:
            file.write(struct.pack("<4sII", b"glTF", 2, total))
            file.write(struct.pack("<I4s", len(text), b"JSON") + text)
            if self._length:
                file.write(struct.pack("<I4s", self._length, b"BIN\0"))
                self._arrays.seek(0)
                shutil.copyfileobj(self._arrays, file)
