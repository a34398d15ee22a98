"""Vertices out of PLY files, ASCII and binary: what data sets keep meshes in."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from lgnet_core.io.images import InputError
from lgnet_core.types import FloatArray

_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
_ORDER = {"binary_little_endian": "<", "binary_big_endian": ">"}
_HEADER_END = re.compile(rb"end_header\r?\n")


def read_ply_vertices(path: Path) -> FloatArray:
    """(V, 3) float32 vertices, in the file's order and units; anything else in the file is left alone.

    Raises:
        InputError: if the file is missing, no PLY, cut short, or does not begin with vertices.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    end = _HEADER_END.search(data)
    if end is None or not data.startswith(b"ply"):
        raise InputError(f"{path}: is no PLY file; extract it again")
    try:
        return _vertices(data[: end.start()].decode("ascii"), data[end.end() :])
    except (ValueError, KeyError, IndexError) as error:
        raise InputError(f"{path}: is cut short or no PLY file of vertices ({error}); extract it again") from error


def _vertices(head: str, body: bytes) -> FloatArray:
    lines = [line.split() for line in head.splitlines()]
    form = next(words[1] for words in lines if words[:1] == ["format"])
    starts = [k for k, words in enumerate(lines) if words[:1] == ["element"]] + [len(lines)]
    element = lines[starts[0]]
    if element[1] != "vertex":
        raise ValueError(f"its first element is {element[1]}")
    count = int(element[2])
    properties = [words for words in lines[starts[0] + 1 : starts[1]] if words[:1] == ["property"]]
    names = [words[2] for words in properties]
    if form == "ascii":
        rows = np.array([line.split()[: len(names)] for line in body.decode("ascii").splitlines()[:count]], np.float32)
        columns = {name: rows[:, k] for k, name in enumerate(names)}
    else:
        kind = np.dtype([(words[2], _ORDER[form] + _TYPES[words[1]]) for words in properties])
        columns = {name: np.frombuffer(body, kind, count)[name] for name in names}
    vertices = np.stack([columns[axis] for axis in "xyz"], -1).astype(np.float32)
    if vertices.shape != (count, 3) or not np.isfinite(vertices).all():
        raise ValueError(f"{len(vertices)} of {count} vertices")
    return vertices
